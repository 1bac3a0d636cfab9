import { cpus } from 'node:os';
import { formatPrecision, REAL } from '../../src/quantizer/precision.js';
import { UserError } from '../../src/errors.js';
import { writeFileAtomic } from '../../src/files.js';
import type { ModelScale } from '../../src/models/settings.js';
import { chooseEngine, findEngine, type EngineName } from '../../src/tensor/engine.js';
import { agreementTable, type StateAgreement } from './agreement-statistics.js';
import { agreementData, measureAgreement, type AgreementOptions } from './agreement.js';

/** What `npm run bench -- --agreement` is told. */
export type ReportOptions = Pick<AgreementOptions, 'steps' | 'states' | 'tell' | 'batchSize' | 'model'> & { scale: ModelScale; bits: readonly string[]; output?: string };

const CPU: EngineName = 'onnxruntime-node';

/**
 * Measures how far WebGPU and the CPU's engine are apart along trainings on the CPU, one for each of `bits`, and prints a table of each. QDETR_ENGINE=webgpu-software
 * compares a software adapter; the training's own engine is the CPU's whatever it says.
 * @throws UserError where there is no WebGPU
 */
export async function reportAgreement({ scale, bits, steps, states, output, tell, ...more }: ReportOptions): Promise<Record<string, StateAgreement[]>> {
  const gpu = await findEngine(process.env.QDETR_ENGINE === 'webgpu-software' ? 'webgpu-software' : 'webgpu');
  if (!gpu.gpu) throw new UserError(`nothing to compare: ${gpu.reason}`);
  process.env.QDETR_ENGINE = CPU;
  const cpu = await chooseEngine(), data = agreementData(scale), found: Record<string, StateAgreement[]> = {}, started = performance.now();
  console.log(`Loss and gradients on ${gpu.version} (WebGPU) against ${cpu.name} ${cpu.version} on ${cpus()[0].model.trim()}, at ${Math.min(states, steps)} states of a training of ${steps} steps on the latter: scale ${scale}, DA, FQM and DRD.`);
  const seconds = (): number => Math.round((performance.now() - started) / 1000);
  const save = (): void => {
    if (output !== undefined) writeFileAtomic(output, `${JSON.stringify({ schemaVersion: 1, scale, steps, gpu: gpu.version, cpu: `${cpu.name} ${cpu.version}`, seconds: seconds(), states: found })}\n`);
  };
  for (const one of bits) {
    const each = (some: readonly StateAgreement[]): void => {
      found[one] = [...some];
      save(); // a run that is cut off has measured something
    };
    found[one] = await measureAgreement({ scale, bits: one, steps, states, cpu, gpu, data, tell, each, ...more });
    console.log(`\n${agreementTable(one === formatPrecision(REAL) ? `${one} (nothing rounds)` : one, found[one], steps)}`);
  }
  console.log(`\n${seconds()} s`);
  return found;
}
