// The Jupyter kernel: tslab's, with errors that carry their text and outputs of several MIME types.
const { DISPLAY, METADATA, createCellExecutor, tslab } = require('./cell-executor.cjs');

/** @param {string} connectionFile the file in which Jupyter says where to listen */
function start(connectionFile) {
  const { executor, lastError } = createCellExecutor();
  const { JupyterHandlerImpl, ZmqServer } = tslab('jupyter.js');

  class Handler extends JupyterHandlerImpl {
    handleKernel() {
      return { ...super.handleKernel(), implementation: 'qdetr', banner: 'Q-DETR', language_info: METADATA.language_info };
    }

    /** Runs one cell when its turn comes: outputs belong to the cell that runs, not to the one that was sent last. */
    async handleExecuteImpl(request, writeStream, writeDisplayData) {
      globalThis[DISPLAY] = (data, metadata = {}) => writeDisplayData({ data, metadata, transient: {} }, false);
      try {
        return await super.handleExecuteImpl(request, writeStream, writeDisplayData);
      } catch (count) {
        request.error = lastError();
        throw count;
      }
    }

    async handleExecute(request, writeStream, writeDisplayData) {
      const content = await super.handleExecute(request, writeStream, writeDisplayData);
      return content.status === 'error' ? { ...content, ...request.error } : content;
    }
  }

  class Server extends ZmqServer {
    /** tslab keeps no history and complains when it is asked for it, in the output of the cell that ran last: quietly, please. */
    async handleShellMessage(socket, ...frames) {
      const header = JSON.parse(frames[frames.findIndex((frame) => frame.toString() === '<IDS|MSG>') + 2].toString());
      const { warn } = console;
      if (header.msg_type === 'history_request') console.warn = () => {};
      const handled = super.handleShellMessage(socket, ...frames);
      console.warn = warn;
      await handled;
    }

    /** As tslab's, and a failed cell also shows its error: tslab sends none, so that Jupyter would show an empty one. */
    async handleExecute(socket, message) {
      const publish = (type, content) => {
        const output = message.createReply();
        output.header.msg_type = type;
        output.content = content;
        output.signAndSend(this.connInfo.key, this.iopub);
      };
      const content = await this.handler.handleExecute(
        message.content,
        (name, text) => publish('stream', { name, text }),
        (data, update) => publish(update ? 'update_display_data' : 'display_data', data),
      );
      if (content.status === 'error') publish('error', { ename: content.ename, evalue: content.evalue, traceback: content.traceback });
      const reply = message.createReply();
      reply.header.msg_type = 'execute_reply';
      reply.content = content;
      reply.signAndSend(this.connInfo.key, socket);
    }
  }

  process.on('SIGINT', () => executor.interrupt());
  process.on('uncaughtException', (error) => console.error('Uncaught:', error));
  process.on('unhandledRejection', (reason) => console.error('Unhandled rejection:', reason));
  new Server(new Handler(executor, false), connectionFile).init();
}

module.exports = { start };
