import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import type { CompileOptions, CompiledStep } from './compile-step.js';
import { compileGpuStep, type GpuReplica, type RunStarter } from './gpu-step.js';
import type { Graph, TypedArray, Value } from './graph.js';
import { elementsOfInput } from './step-arrays.js';
import type { GpuDevice } from './webgpu/adapter.js';

const members = new AsyncLocalStorage<Member | undefined>();

/** The work to which the code that runs now belongs, where it is done together with other work. */
export const currentMember = (): Member | undefined => members.getStore();

/**
 * Does work that several members wait for, as what they keep in common, outside of all groups: inside, its steps would wait for the members
 * that wait for it.
 */
export const apart = <T>(work: () => T): T => members.run(undefined, work);

/**
 * Does several pieces of work side by side in this process, such as the trainings of a cell with several seeds. On a GPU, steps that they compile
 * and that differ in nothing but their state become the replicas of one step: each replay takes a run of every one of them. A small model leaves
 * most of a large GPU idle, so that three replicas take little more time than one. Whoever is ahead waits for the others; where all wait for
 * different steps (some had a checkpoint further on), a step is replayed for those alone that asked for it. What each computes depends on nothing
 * that the others do. What one makes for all, behind a promise that they share, is done {@link apart}.
 * @returns how each of them ended, in their order
 */
export function together<T>(work: readonly (() => Promise<T>)[]): Promise<PromiseSettledResult<T>[]> {
  if (work.length === 1) return Promise.allSettled([work[0]()]);
  const group = new Group(), joined = work.map(() => group.join());
  return Promise.allSettled(work.map((one, k) => members.run(joined[k], one).finally(() => joined[k].leave())));
}

type Outputs = Record<string, TypedArray>;

/** A run that a replica waits for. */
interface WaitingRun {
  inputs: Record<string, TypedArray>;
  resolve(outputs: Outputs): void;
  reject(error: unknown): void;
}

/** A step that a member waits to have compiled. */
interface WaitingCompilation {
  member: Member;
  key: string;
  gpu: GpuDevice;
  traced: Graph;
  options: CompileOptions;
  resolve(step: CompiledStep): void;
  reject(error: unknown): void;
}

/** A step of several members: for each its replica, and the runs that it has asked for. */
interface SharedStep {
  start: RunStarter;
  replicas: { member: Member; step: GpuReplica; waiting: WaitingRun[] }[];
}

/**
 * Turns of the event loop in which nothing happens, after which members that all wait are taken to wait for one another. What a run gives is taken up within a
 * turn or two; a wrong guess costs a replay for fewer, never a result.
 */
const QUIET_TURNS = 3;

class Group {
  readonly #members = new Set<Member>();
  #compilations: WaitingCompilation[] = [];
  readonly #steps = new Set<SharedStep>();
  #underWay = 0;
  /** Changes with everything that happens. */
  #moment = 0;

  join(): Member {
    const member = new Member(this);
    this.#members.add(member);
    return member;
  }

  leave(member: Member): void {
    this.#members.delete(member);
    this.#look();
  }

  compile(request: WaitingCompilation): void {
    this.#compilations.push(request);
    this.#look();
  }

  /** Starts what nobody is missing from. */
  #look(): void {
    this.#moment++;
    if (this.#compilations.length > 0 && this.#compilations.length === this.#members.size) this.#compileWaiting();
    for (const step of this.#steps) {
      step.replicas = step.replicas.filter(({ member, step: replica, waiting }) => waiting.length > 0 || (this.#members.has(member) && !replica.isDisposed));
      if (step.replicas.length === 0) this.#steps.delete(step);
      while (step.replicas.length > 0 && step.replicas.every(({ waiting }) => waiting.length > 0)) this.#run(step);
    }
    this.#waitForQuiet(this.#moment, QUIET_TURNS);
  }

  /** Members that all wait, for different things, are not kept waiting: the step that most of them ask for runs without the others. */
  #waitForQuiet(moment: number, turns: number): void {
    if (moment !== this.#moment || this.#underWay > 0 || [...this.#members].some((member) => !this.#waits(member))) return;
    if (turns > 0) {
      setImmediate(() => this.#waitForQuiet(moment, turns - 1));
      return;
    }
    const asked = (step: SharedStep): number => step.replicas.filter(({ waiting }) => waiting.length > 0).length;
    const step = [...this.#steps].sort((a, b) => asked(b) - asked(a))[0] as SharedStep | undefined;
    if (step && asked(step) > 0) this.#run(step);
    else if (this.#compilations.length > 0) this.#compileWaiting();
  }

  #waits(member: Member): boolean {
    return this.#compilations.some((c) => c.member === member) || [...this.#steps].some((step) => step.replicas.some((r) => r.member === member && r.waiting.length > 0));
  }

  /** Replays a step for those that wait for it. */
  #run(step: SharedStep): void {
    const taken = step.replicas.flatMap(({ step: { replica }, waiting }) => (waiting.length > 0 ? [{ replica, ...waiting.shift()! }] : []));
    this.#underWay++;
    void step.start(taken).then(
      (outputs) => taken.forEach(({ resolve }, k) => resolve(outputs[k])),
      (error: unknown) => taken.forEach(({ reject }) => reject(error)),
    ).finally(() => {
      this.#underWay--;
      setImmediate(() => this.#look()); // after what waited for the outputs
    });
  }

  #compileWaiting(): void {
    const alike = new Map<string, WaitingCompilation[]>();
    for (const request of this.#compilations) alike.set(request.key, [...(alike.get(request.key) ?? []), request]);
    this.#compilations = [];
    for (const requests of alike.values()) {
      this.#underWay++;
      void this.#compileAlike(requests).catch((error: unknown) => requests.forEach(({ reject }) => reject(error))).finally(() => {
        this.#underWay--;
        setImmediate(() => this.#look());
      });
    }
  }

  async #compileAlike(requests: readonly WaitingCompilation[]): Promise<void> {
    const [{ gpu, traced }] = requests, waiting = requests.map((): WaitingRun[] => []);
    let start: RunStarter | undefined;
    const steps = await compileGpuStep(gpu, traced, requests.map(({ options }) => options), (starter, replica) => {
      start = starter;
      return (inputs) => new Promise<Outputs>((resolve, reject) => {
        for (const [name, { shape }] of Object.entries(requests[replica].options.inputs)) elementsOfInput(name, shape, inputs); // an error is this member's alone
        waiting[replica].push({ inputs: copied(inputs), resolve, reject });
        this.#look();
      });
    });
    this.#steps.add({ start: start!, replicas: steps.map((step, k) => ({ member: requests[k].member, step, waiting: waiting[k] })) });
    requests.forEach(({ resolve }, k) => resolve(steps[k]));
  }
}

/** One piece of work among others. */
class Member {
  constructor(private readonly group: Group) {}

  /** Compiles a step, as one with the other members' where these are alike. */
  compile(gpu: GpuDevice, traced: Graph, options: CompileOptions): Promise<CompiledStep> {
    const key = keyOf(traced, options);
    return new Promise((resolve, reject) => this.group.compile({ member: this, key, gpu, traced, options, resolve, reject }));
  }

  leave(): void {
    this.group.leave(this);
  }
}

/** A run may have to wait, and its caller may fill the same arrays again meanwhile. */
const copied = (inputs: Record<string, TypedArray>): Record<string, TypedArray> => Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, data.slice()]));

let buffers = 0;
const numbers = new WeakMap<ArrayBufferLike, number>();

/** A number for memory that is the same for all who share it. */
function numberOf({ buffer, byteOffset, byteLength }: TypedArray): string {
  if (!numbers.has(buffer)) numbers.set(buffer, buffers++);
  return `${numbers.get(buffer)} ${byteOffset} ${byteLength}`;
}

/** Numbers as text, since JSON has no infinities. */
const exactly = (_: string, value: unknown): unknown => (typeof value === 'number' ? String(value) : value);

/** Equal for steps whose graphs compute the same with the same constants, and whose resident arrays are the same ones. */
function keyOf({ inputs, outputs, nodes }: Graph, { resident = {} }: CompileOptions): string {
  const hash = createHash('sha256'), known = new Map<Value, string>();
  const nameOf = (value: Value): string => {
    let name = known.get(value);
    if (name === undefined) {
      name = `v${known.size}`;
      known.set(value, name);
      hash.update(`${name} ${value.dtype} [${value.shape.join()}] ${typeof value.constant === 'number' ? value.constant : ''};`);
      if (value.constant !== undefined && typeof value.constant !== 'number') hash.update(new Uint8Array(value.constant.buffer, value.constant.byteOffset, value.constant.byteLength));
    }
    return name;
  };
  for (const [name, value] of inputs) hash.update(`${name} = ${nameOf(value)}\n`);
  for (const node of nodes) hash.update(`${node.op}(${node.inputNames.map((name, k) => `${name} ${nameOf(node.inputs[k])}`).join()}) ${JSON.stringify(node.attributes, exactly)} -> ${node.outputs.map(nameOf).join()}\n`);
  for (const [name, value] of outputs) hash.update(`${name} = ${nameOf(value)}\n`);
  for (const [name, array] of Object.entries(resident)) hash.update(`${name} ${numberOf(array.data)}\n`);
  return hash.digest('hex');
}
