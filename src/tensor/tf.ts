/**
 * The one place that tfjs-core comes from. tfjs-core's Node build registers no gradients by itself; loading
 * tfjs-layers registers all of them (measured: without it `tf.grad` of a matrix product throws).
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';

tf.enableProdMode(); // only keeps tfjs quiet: its first tensor would print a banner into the output of every command

/** tfjs-core, with gradients registered. */
export { tf };
/** A tensor of tfjs, of any rank. */
export type Tensor = tf.Tensor;
