/** The S3 server as a process of its own: `node --import tsx testing/s3-server/main.ts --help`. */
import { explain, HELP, readCommandLine } from './command-line.ts';
import { startS3Server } from './server.ts';

async function main(): Promise<void> {
  const options = readCommandLine(process.argv.slice(2), process.env);
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const server = await startS3Server(options);
  // A harness reads this line to learn the port.
  process.stdout.write(`${server.endpoint}\n`);
  const stop = async () => {
    await server.stop();
    process.exit(0);
  };
  process.once('SIGINT', () => void stop());
  process.once('SIGTERM', () => void stop());
}

try {
  await main();
} catch (error) {
  process.stderr.write(`s3-server: ${explain(error)} (--help lists the options)\n`);
  process.exitCode = 2;
}
