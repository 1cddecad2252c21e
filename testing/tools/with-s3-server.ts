/** Runs a command with an S3 server that lives as long as it. */
import { listenForStop, Stopped } from '../harness/processes/stop.ts';
import { isServerName, type ServerName } from '../harness/servers/start-server.ts';
import { withServer } from '../harness/servers/with-server.ts';

const usage = `Usage: node --import tsx testing/tools/with-s3-server.ts ceph|local -- COMMAND ARGS…

Starts an S3 server on loopback, runs the command with the server in its environment, and stops the server when the
command ends or is stopped. What an earlier run that was killed left is removed first.

  ceph     a Ceph cluster of one node with its gateway; scripts/setup.sh --ceph installs it
  local    the embedded server
  --help   this text

The command finds S3_SERVER=env, AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, S3_BUCKET,
and in S3_LACKS what the server is known to lack of S3.

Exit codes: the command's own; 1 the server did not start, 2 wrong usage, 128 + n stopped by signal n.
`;

interface CommandLine {
  readonly server: ServerName;
  readonly command: string;
  readonly args: readonly string[];
}

/** @throws one line that says what is expected. */
function readCommandLine([server = '', separator, command, ...args]: readonly string[]): CommandLine {
  if (isServerName(server) && separator === '--' && command !== undefined) return { server, command, args };
  throw new Error('expected ceph or local, then --, then a command (--help says more)');
}

function fail(error: unknown): void {
  process.stderr.write(`with-s3-server: ${error instanceof Error ? error.message : String(error)}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === '--help') {
    process.stdout.write(usage);
    return 0;
  }
  let commandLine: CommandLine;
  try {
    commandLine = readCommandLine(args);
  } catch (error) {
    fail(error);
    return 2;
  }
  const signal = listenForStop();
  const say = (line: string) => process.stderr.write(`with-s3-server: ${line}\n`);
  try {
    return await withServer({ ...commandLine, environment: process.env, signal, say });
  } catch (error) {
    const reason = signal.aborted ? signal.reason : error;
    fail(reason);
    return reason instanceof Stopped ? reason.exitCode : 1;
  }
}

process.exit(await main(process.argv.slice(2)));
