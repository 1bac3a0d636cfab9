import { spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import * as zmq from 'zeromq';

const KERNEL = 'notebooks/kernel/kernels/qdetr-typescript';
const KEY = 'a key';

interface Message { type: string; parent: string; content: Record<string, unknown> }

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
  })));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Starts the kernel as Jupyter does, sends `cells` all at once and returns everything that came back. */
async function run(folder: string, cells: string[], launcher = path.resolve(KERNEL, 'launch.cjs')): Promise<{ ids: string[]; published: Message[]; replies: Message[]; information: Message }> {
  const [shell, iopub, stdin, control, heartbeat] = await freePorts(5);
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'qdetr-kernel-')), 'connection.json');
  writeFileSync(file, JSON.stringify({ transport: 'tcp', ip: '127.0.0.1', shell_port: shell, iopub_port: iopub, stdin_port: stdin, control_port: control, hb_port: heartbeat, key: KEY, signature_scheme: 'hmac-sha256' }));
  const kernel = spawn(process.execPath, [launcher, file], { cwd: folder, stdio: 'ignore' });
  const requests = new zmq.Dealer({ linger: 0 });
  const outputs = new zmq.Subscriber({ linger: 0 });
  const parse = (frames: Buffer[]): Message => {
    const [, header, parent, , content] = frames.slice(frames.findIndex((frame) => frame.toString() === '<IDS|MSG>') + 1).map((frame) => frame.toString());
    const json = (text: string) => JSON.parse(text) as Record<string, unknown>;
    return { type: String(json(header).msg_type), parent: String(json(parent).msg_id), content: json(content) };
  };
  const published: Message[] = [];
  const replies: Message[] = [];
  try {
    outputs.connect(`tcp://127.0.0.1:${iopub}`);
    outputs.subscribe();
    requests.connect(`tcp://127.0.0.1:${shell}`);
    void (async () => {
      for await (const frames of outputs) published.push(parse(frames));
    })().catch(() => {});
    const send = async (type: string, content: object): Promise<string> => {
      const id = randomUUID();
      const parts = [{ msg_id: id, msg_type: type, session: 's', username: 'u', version: '5.3', date: '' }, {}, {}, content].map((part) => JSON.stringify(part));
      const signature = parts.reduce((hash, part) => hash.update(part), createHmac('sha256', KEY)).digest('hex');
      await requests.send(['<IDS|MSG>', signature, ...parts]);
      return id;
    };
    const receive = async (): Promise<void> => void replies.push(parse(await requests.receive()));
    do {
      await send('kernel_info_request', {}); // until its status comes through: a subscription takes a moment, and Jupyter does the same
      await receive();
      await new Promise((resolve) => setTimeout(resolve, 50));
    } while (published.length === 0);
    const [information] = replies.splice(0);
    const ids = await Promise.all(cells.map((code) => send('execute_request', { code, silent: false })));
    for (let i = 0; i < cells.length; i++) await receive();
    const deadline = Date.now() + 5000;
    const idle = (): boolean => ids.every((id) => published.some(({ type, parent, content }) => type === 'status' && parent === id && content.execution_state === 'idle'));
    while (!idle() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    return { ids, published, replies, information };
  } finally {
    requests.close();
    outputs.close();
    kernel.kill('SIGKILL');
  }
}

test.serial('outputs belong to the cell that makes them, also when all cells are sent at once', async (t) => {
  const { ids, published, replies, information } = await run('notebooks', [
    "import { showMarkdown } from './src/figures/display.js';\nawait new Promise((done) => setTimeout(done, 300));\nshowMarkdown('first');",
    "showMarkdown('second'); process.cwd() === '" + process.cwd() + "'",
  ]);
  const shown = published.filter(({ type }) => type === 'display_data');
  t.deepEqual(shown.map(({ parent, content }) => [ids.indexOf(parent), (content.data as Record<string, string>)['text/plain']]), [[0, 'first'], [1, 'second']]);
  t.deepEqual(published.filter(({ type }) => type === 'stream').map(({ parent, content }) => [ids.indexOf(parent), content.text]), [[1, 'true\n']]); // the project's root
  t.deepEqual(replies.map(({ content }) => content.status), ['ok', 'ok']);
  t.is((information.content.language_info as { version: string }).version, '5.0.4');
});

test.serial('a failed cell shows its error and stops those that wait; an installed copy of the kernel finds the project', async (t) => {
  const copy = mkdtempSync(path.join(tmpdir(), 'qdetr-kernelspec-'));
  cpSync(KERNEL, copy, { recursive: true });
  const { ids, published, replies } = await run('notebooks', ["throw new RangeError('too far');", "console.log('not reached');"], path.join(copy, 'launch.cjs'));
  const errors = published.filter(({ type }) => type === 'error');
  t.is(errors.length, 1);
  t.is(errors[0].parent, ids[0]);
  t.is(errors[0].content.ename, 'RangeError');
  t.is((errors[0].content.traceback as string[])[0], 'RangeError: too far');
  const reply = replies.find(({ parent }) => parent === ids[0])!;
  t.deepEqual([reply.content.status, reply.content.evalue], ['error', 'too far']);
  t.false(published.some(({ type }) => type === 'stream'));
});
