/** What a run of tests came to. */
export interface TestCount { passed: number; failed: number; skipped: number }

/** Reads TAP as ava writes it, line by line, counts the tests and returns each line as a person likes to read it. */
export class TapReader {
  readonly count: TestCount = { passed: 0, failed: 0, skipped: 0 };
  /** Titles of the tests that failed, in order. */
  readonly failures: string[] = [];
  #inFailure = false;

  /** @returns the line to print, or null for bookkeeping lines */
  read(line: string): string | null {
    const result = /^(not )?ok \d+ - (.*?)( # (SKIP|TODO).*)?$/.exec(line);
    if (result) return this.#test(result[1] === undefined, result[2], result[4]);
    if (/^(TAP version \d+|\d+\.\.\d+|# (tests|pass|skip|todo|fail) \d+|# .* hook( for .*)?)$/.test(line) || line.trim() === '') return null;
    const logged = /^(?: {2})?# +(.*)$/.exec(line);
    if (logged) return `      ${logged[1]}`;
    return this.#inFailure || !/^ {2}(---|\.\.\.)$/.test(line) ? line : null;
  }

  #test(ok: boolean, title: string, directive?: string): string {
    this.#inFailure = false;
    if (directive !== undefined) {
      this.count.skipped++;
      return `  - ${title} (skipped)`;
    }
    if (ok) {
      this.count.passed++;
      return `  ✔ ${title}`;
    }
    this.#inFailure = true;
    this.count.failed++;
    this.failures.push(title);
    return `  ✘ ${title}`;
  }
}

/** The closing line: `12 passed, 1 failed`, with the skipped ones behind where there are some. */
export function closingLine({ passed, failed, skipped }: TestCount): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
