import { createRequire } from 'node:module';
import { messageOf } from '../errors.js';
import { projectPath } from '../files.js';
import { tf } from './tf.js';

/** npm packages that bring TensorFlow's C library into Node, in the order in which they are tried. `npm ci` installs neither. */
export const TENSORFLOW_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;
/** Name of such a package. */
export type TensorFlowPackage = (typeof TENSORFLOW_PACKAGES)[number];

/** TensorFlow as it was found: the package that loaded, if one did, and why the others did not. */
export interface TensorFlowFinding {
  loaded?: {
    package: TensorFlowPackage;
    /** Of libtensorflow: the package's own is 2.9.1. */
    version: string;
    device: 'GPU' | 'CPU';
  };
  /** For each package that was tried and did not load, one line. */
  reasons: Partial<Record<TensorFlowPackage, string>>;
}

/** The last major version of Node that tfjs-node 4.22 works with: its kernels call functions of `util` that Node 23 removed. */
const LAST_NODE = 22;

/** What tfjs-node's backend says of itself. */
interface NodeBackend { isUsingGpuDevice: boolean; binding: { TF_Version: string } }

let found: TensorFlowFinding | undefined;

/**
 * Loads the first of {@link TENSORFLOW_PACKAGES} that is installed and works, which registers tfjs's backend `tensorflow` and makes
 * it current. Looks once in a process. TensorFlow's own notes (which instructions it was built for) are kept out of a command's
 * output unless TF_CPP_MIN_LOG_LEVEL is set.
 */
export function loadTensorFlow(): TensorFlowFinding {
  if (found) return found;
  found = { reasons: {} };
  const require = createRequire(projectPath('package.json'));
  for (const name of TENSORFLOW_PACKAGES) {
    try {
      require.resolve(`${name}/package.json`);
    } catch {
      found.reasons[name] = 'not installed';
      continue;
    }
    if (Number(process.versions.node.split('.')[0]) > LAST_NODE) {
      found.reasons[name] = `it needs Node ${LAST_NODE} or older, this is ${process.version}`;
      continue;
    }
    process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
    try {
      require(name);
      const { isUsingGpuDevice, binding } = tf.backend() as unknown as NodeBackend;
      found.loaded = { package: name, version: binding.TF_Version, device: isUsingGpuDevice ? 'GPU' : 'CPU' };
      break;
    } catch (error) {
      found.reasons[name] = messageOf(error).split('\n')[0].trim();
    }
  }
  return found;
}

/** The reasons of a finding in one line. */
export const whyNoTensorFlow = ({ reasons }: TensorFlowFinding): string => Object.entries(reasons).map(([name, reason]) => `${name}: ${reason}`).join('; ');
