/**
 * Loaded before a program (`node --import`) that must not outlive the one that started it: standard input is a pipe
 * that only the parent holds, so its end means that the parent is gone, however it died.
 */

// Without unref, a program that fails at its start would wait for its parent to end.
process.stdin
  .once('close', () => process.kill(process.pid, 'SIGTERM'))
  .resume()
  .unref();
