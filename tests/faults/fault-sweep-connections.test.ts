/** Connections that break, before a request was done and after. */
import { sweepFaults } from './fault-sweep.ts';

sweepFaults(['reset before', 'reset after', 'lost response']);
