/** A mistake in what the user gave us. The message is one sentence that names the file, the key and the way out. */
export class UserError extends Error {
  override name = 'UserError';
}

/** Text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
