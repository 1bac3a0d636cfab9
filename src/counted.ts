/** A number of things in words: '1 image', '2000 images'. @param what one of them, whose plural ends with s */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
