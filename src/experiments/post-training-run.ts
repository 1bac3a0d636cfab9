import { quantizationPolicy } from '../models/quantization-policy.js';
import { modelOf } from '../models/settings.js';
import { realValued } from '../models/forward.js';
import { parsePrecision } from '../quantizer/precision.js';
import { useBackend } from '../tensor/backend.js';
import { toTensors } from '../tensor/parameters.js';
import { tf } from '../tensor/tf.js';
import { postTrainingQuantize } from '../quantizer/post-training.js';
import { createDetectorEvaluator } from '../training/evaluate-detector.js';
import type { Metrics } from '../training/metrics-log.js';
import type { TrainingSettings } from '../training/settings.js';
import type { Cell } from './cell.js';
import { evaluationLine, quantizedWords, type DetectorData, type RunStart } from './detector-run.js';
import type { ExperimentRun } from './run.js';
import { calibrationBatches, observedForward } from './start-parameters.js';

/** A real-valued detector quantized without training (Percentile, VT-PTQ). */
export function postTrainingRun({ experiment, method, bits, artefact, family, scale, preset, groups, quantizer }: Cell, own: RunStart, data: DetectorData, training: TrainingSettings): ExperimentRun {
  const model = modelOf(scale, family), policy = quantizationPolicy({ precision: parsePrecision(bits), preset, groups });
  const sizes = { val: data.val.length, test: data.test.length, unseen: data.unseen.length };
  return {
    experiment: `${experiment}/${method.toLowerCase()}-${bits}`, training,
    label: {
      artefact, method, bits, model: family, scale, dataset: `minivoc-${model.imageSize}`, tau: null, lambda: null,
      quantized: quantizedWords(bits, groups, preset, own.id), scope: 'post-training', groups: [...groups], quantizer, preset, alignment: null, distillation: null, teacher: null, studentStart: 'own',
    },
    protocol: { model, startsFrom: own.id, sizes, scope: 'post-training', groups, quantizer, preset },
    dataHashes: Object.values(data).map((d: DetectorData['val']) => d.dataHash),
    measure: async () => {
      await useBackend();
      const tensors = toTensors(own.parameters);
      const found = postTrainingQuantize(quantizer, own.parameters, calibrationBatches(data.train, training.seed), observedForward(tensors, model, realValued), policy);
      tf.dispose(tensors);
      const parameters = { ...own.parameters, ...found };
      const evaluator = createDetectorEvaluator(model, policy);
      const lines: Metrics[] = [];
      try {
        for (const [split, dataset] of [['val', data.val], ['test', data.test], ['test-unseen', data.unseen]] as const) lines.push(await evaluationLine(evaluator, parameters, split, dataset, { step: 0, epoch: 0 }));
      } finally {
        await evaluator.dispose();
      }
      return { parameters, lines };
    },
  };
}
