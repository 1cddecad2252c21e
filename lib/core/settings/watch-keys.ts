/** The settings by which a host reports its state: to Prometheus, to a service that watches timers, to a command. */

const watch = 'Monitoring and notifications';

/** How much bandwidth is taken. */
export const limitNotes = {
  LIMIT_UPLOAD: {
    section: 'How the stream is cut and stored',
    preset: 'none',
    about:
      'most bytes per second for chunks, all connections together: none, a rate (10MiB, or 20Mbit of bits), or a timetable in local time (08:00,1MiB 23:00,none), as in rclone --bwlimit; 64KiB at least',
  },
  LIMIT_DOWNLOAD: {
    section: 'How the stream is cut and stored',
    preset: 'none',
    about: 'the same for what restore, extract, drill and verify DEEP=1 read of chunks',
  },
} as const;

/** By key, in the order of the documents. */
export const watchNotes = {
  METRICS_FILE: {
    section: watch,
    preset: '',
    about:
      'absolute path, ending in .prom, of a text file for the textfile collector of node_exporter; each run replaces it (docs/monitoring.md)',
  },
  NOTIFY_URL: {
    section: watch,
    preset: '',
    about:
      'address, such as https://hc-ping.com/UUID, that make backup pings: /start, itself on success, /fail with the errors of the log; other commands ping /fail alone. Whoever knows it can ping too: chmod 600',
  },
  NOTIFY_COMMAND: {
    section: watch,
    preset: '',
    about:
      'command that /bin/sh runs at the end of each run: $RESULT is success or failure, and stdin has the reason (docs/monitoring.md)',
  },
  PRICES: {
    section: watch,
    preset: '',
    about:
      'file with prices of your own, in the form of config/prices.json, for other regions and providers; it wins over that one',
  },
  VERIFY_EVERY: {
    section: watch,
    preset: '30d',
    about: 'age of the last make verify at which the next is due, for its timer; never: it has none',
  },
  PRUNE_EVERY: {
    section: watch,
    preset: 'never',
    about:
      'how often the timer runs make prune APPLY=1, which deletes what is beyond KEEP_GENERATIONS; never: nothing prunes',
  },
} as const;
