/** Which addresses of a server are good, wherever they were set. */

/** Why an endpoint is refused, as clauses that follow its name; none when it is good. */
export function endpointProblems(endpoint: string, allowHttp: boolean): readonly string[] {
  const { protocol, hostname, username, password } = new URL(endpoint);
  const isPlain = protocol === 'http:' && !isLoopback(hostname);
  return [
    ...(isPlain && !allowHttp ? ['is not encrypted; use https://, or set S3_ALLOW_HTTP=true'] : []),
    ...(username || password
      ? ['carries credentials; put them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY']
      : []),
  ];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}
