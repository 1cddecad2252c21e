/** Bodies that end early, have another byte, or take their time. */
import { sweepFaults } from './fault-sweep.ts';

sweepFaults(['truncate', 'corrupt', 'stall', 'slow']);
