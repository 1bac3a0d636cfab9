// Takes a lock at a given time, holds it for a while and says so: node --import=tsx lock-child.ts <folder> <milliseconds since 1970>
import { setTimeout as wait } from 'node:timers/promises';
import { lockRun, RunHeld } from '../../src/training/run-lock.js';

const [folder, at] = process.argv.slice(2);
await wait(Math.max(0, Number(at) - Date.now() - 50)); // five that spin all the while would keep each other from the processor
while (Date.now() < Number(at));
try {
  const unlock = lockRun(folder);
  console.log('held');
  await wait(2000); // longer than a busy machine keeps another of the five waiting
  unlock();
} catch (error) {
  if (!(error instanceof RunHeld)) throw error;
  console.log('refused');
}
