/**
 * Runs `work` with a signal that Ctrl-C (or SIGTERM) aborts: work then stops at its next safe point. A second Ctrl-C ends the
 * process at once; checkpoints are written atomically, so that this loses no more than the steps since the last one.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>, onFirst: () => void): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    onFirst();
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
