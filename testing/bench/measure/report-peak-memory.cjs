// @ts-check
/**
 * Loaded before a program (`node --require`): writes the most memory that its process ever had resident, in bytes, to the file that
 * PEAK_MEMORY_FILE names. Threads share the process's memory, so the hash worker is counted. In JavaScript, because the launcher
 * loads nothing else; what it starts first, to make a bundle, ends first and is overwritten.
 */
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');

const file = process.env.PEAK_MEMORY_FILE;

// VmHWM (proc_pid_status(5)) begins anew at exec; getrusage's maxrss would also hold what the starting process had.
if (file !== undefined) {
  process.once('exit', () => {
    const peakKiB = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    writeFileSync(file, String(Number(peakKiB) * 1024));
  });
}
