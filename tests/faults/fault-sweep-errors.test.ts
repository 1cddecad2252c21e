/** Errors that the server answers. */
import { sweepFaults } from './fault-sweep.ts';

sweepFaults(['internal error', 'slow down', 'service unavailable', 'request timeout']);
