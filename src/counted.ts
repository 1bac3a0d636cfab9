/** A number of things in words: '1 image', '2000 images'. @param what one of them, whose plural ends with s */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** Things of which any will do: 'a', 'a or b', 'a, b or c'. */
export const anyOf = (things: readonly string[]): string => new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(things);

/** Bytes of memory in words, MiB rounded up: '3.4 GiB', '56 MiB'. */
export const bytesText = (bytes: number): string => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`);
