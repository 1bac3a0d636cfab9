/** Whether notebooks run at their smoke size (environment variable QDETR_SMOKE=1): small enough for tests, figures not meant to be kept. */
export const isSmoke = (): boolean => process.env.QDETR_SMOKE === '1';

/** A setting of a notebook: its full value, or the small one that tests use. */
export function sized<T>({ full, smoke }: { full: T; smoke: T }): T {
  return isSmoke() ? smoke : full;
}
