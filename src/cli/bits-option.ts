import { parsePrecision, type Precision } from '../quantizer/precision.js';
import { UserError } from '../errors.js';

/**
 * Reads the option `--bits` of a command.
 * @param isQuantized whether all modules have low bits: messages then advise no 32, which the command refuses
 * @throws UserError that names the option
 */
export function parseBitsOption(text: string, isQuantized = false): Precision {
  if (!/^\d+-\d+-\d+$/.test(text)) throw new UserError(`--bits ${text}: should be weights-activations-attention, such as 4-4-8${isQuantized ? '' : ' or 32-32-32'}`);
  const wrong = text.split('-').map(Number).find((bits) => bits !== 32 && (bits < 2 || bits > 8));
  if (wrong !== undefined) throw new UserError(`--bits ${text}: bit-width ${wrong} can't be quantized to: choose 2 to 8${isQuantized ? '' : ', or 32 for real-valued'}`);
  return parsePrecision(text);
}
