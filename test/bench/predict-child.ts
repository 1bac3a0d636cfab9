/**
 * This project's side of `--predict`: reads the weights as `qdetr predict` does and passes one image; prints one JSON line, as predict.py does.
 * Usage: node --import=tsx predict-child.ts <weights> <passes>
 */
import { detector } from '../../src/models/detector.js';
import { loadDetectorWeights } from '../../src/models/weights/load-weights.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { chooseEngine } from '../../src/tensor/engine.js';

const [file, passes] = process.argv.slice(2);
const { name, version } = await chooseEngine();
const { settings, parameters } = loadDetectorWeights(file);
const step = await compileStep((state, { images }) => {
  const { logits, boxes } = detector(state, images, settings);
  return { outputs: { logits, boxes } };
}, { state: parameters, inputs: { images: { shape: [1, 800, 1066, 3], dtype: 'float32' } } });
const startSeconds = performance.now() / 1000; // since the process began
const images = Float32Array.from({ length: 800 * 1066 * 3 }, (_, i) => Math.sin(i));
const seconds: number[] = [];
for (let i = 0; i <= Number(passes); i++) {
  const started = performance.now();
  await step.run({ images });
  if (i > 0) seconds.push((performance.now() - started) / 1000);
}
await step.dispose();
console.log(JSON.stringify({ engine: `${name} ${version ?? ''}`.trim(), startSeconds, seconds, peakMegabytes: process.resourceUsage().maxRSS / 1e3 }));
