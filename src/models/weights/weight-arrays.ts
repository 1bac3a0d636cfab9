import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../errors.js';
import { readBytes } from '../../files.js';
import type { ArrayValue } from '../../tensor/parameters.js';
import { decodePytorchCheckpoint } from '../../tensor/pytorch-checkpoint.js';
import { decodeSafetensors } from '../../tensor/safetensors.js';

/** What a file of weights holds, by the names that it has there. */
export interface WeightArrays {
  /** The file that was read. */
  file: string;
  container: 'safetensors' | 'PyTorch checkpoint';
  /** Real numbers, 16-bit ones widened; shapes as they are in the file. */
  arrays: Map<string, ArrayValue>;
  /** Names of arrays of whole numbers, such as counts of batches. */
  integers: string[];
  /** Notes of a safetensors file. */
  notes: ReadonlyMap<string, string>;
  /** The command line of the training that a checkpoint of facebookresearch/detr keeps. */
  training: { heads?: number; isDilated?: boolean };
}

const REMEDY = 'check the path, or get the file again with npx qdetr weights fetch';

/** The files that `save_pretrained` of transformers writes into its folder. */
const IN_FOLDER = ['model.safetensors', 'pytorch_model.bin'];

/**
 * The file that a path names: itself, or the weights in a folder of transformers.
 * @throws UserError when a folder has none
 */
function weightFile(given: string): string {
  if (!existsSync(given) || !statSync(given).isDirectory()) return given;
  const name = IN_FOLDER.find((one) => existsSync(path.join(given, one)));
  if (name === undefined) throw new UserError(`${given} is a folder without ${IN_FOLDER.join(' and ')}: name the file of weights`);
  return path.join(given, name);
}

/**
 * Reads the arrays of a safetensors file or a PyTorch checkpoint (nothing of which is run), whatever its name ends with.
 * @throws UserError that names the file when it can't be read, is damaged or is neither
 */
export function readWeightArrays(given: string): WeightArrays {
  const file = weightFile(given), bytes = readBytes(file, REMEDY);
  if (bytes[8] === 0x7b) { // '{' behind the length of a header
    const { tensors, metadata } = decodeSafetensors(bytes, file);
    const arrays: WeightArrays['arrays'] = new Map(), integers: string[] = [];
    for (const [name, tensor] of tensors) {
      if (tensor.dtype === 'F32') arrays.set(name, { shape: tensor.shape, data: tensor.data });
      else integers.push(name);
    }
    return { file, container: 'safetensors', arrays, integers, notes: metadata, training: {} };
  }
  if (bytes.toString('latin1', 0, 2) !== 'PK' && bytes[0] !== 0x80) {
    throw new UserError(`${file} holds no weights (it is neither a safetensors file nor a PyTorch checkpoint): give a .safetensors, .pth or .bin file; npx qdetr weights list says where published ones are`);
  }
  const { parameters, integers, rest } = decodePytorchCheckpoint(bytes, file);
  const command = rest.get('args'), heads = command instanceof Map ? command.get('nheads') : undefined;
  const training = { ...(typeof heads === 'number' && heads > 0 && { heads }), isDilated: command instanceof Map && command.get('dilation') === true };
  return { file, container: 'PyTorch checkpoint', arrays: new Map(Object.entries(parameters)), integers: [...integers.keys()], notes: new Map(), training };
}
