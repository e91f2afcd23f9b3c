const STALE_AFTER_MS = 4000; // heartbeats come each second: no price looks live that is five seconds old
const LONGEST_WAIT_MS = 15000;

/** One socket that comes back by itself and asks again for everything it was asked for. */
export class Socket {
  constructor(path, { report, refused }) {
    this.url = new URL(path, location.href.replace(/^http/, "ws"));
    this.report = report;
    this.refused = refused;
    this.wanted = new Map();
    this.waiting = new Set();
    this.attempts = 0;
    this.requests = 0;
  }

  add(channel, params, callback) {
    const { symbol = [null], ...rest } = params;
    const entries = symbol.map((name) => this.entry(channel, name, rest));
    for (const entry of entries) {
      if (entry.callbacks.size && !entry.last) this.send("unsubscribe", [entry]); // a new snapshot for all of them
      entry.callbacks.add(callback);
      if (entry.last) queueMicrotask(() => entry.callbacks.has(callback) && callback(entry.last));
      else this.ask(entry);
    }
    if (!this.timer) this.open();
    return () => entries.forEach((entry) => this.drop(entry, callback));
  }

  entry(channel, symbol, rest) {
    const key = JSON.stringify([channel, symbol, rest]);
    const fresh = { key, channel, symbol, rest, callbacks: new Set(), last: null };
    return this.wanted.get(key) ?? this.wanted.set(key, fresh).get(key);
  }

  drop(entry, callback) {
    entry.callbacks.delete(callback);
    if (!entry.callbacks.size && this.wanted.delete(entry.key)) this.send("unsubscribe", [entry]);
  }

  /** Requests of one turn travel together: eighty prices on a page are one message. */
  ask(entry) {
    if (!this.waiting.size) queueMicrotask(() => this.flush());
    this.waiting.add(entry);
  }

  flush() {
    const alike = new Map();
    for (const entry of this.waiting) {
      if (!this.wanted.has(entry.key)) continue;
      const kind = JSON.stringify([entry.channel, entry.rest]);
      alike.set(kind, [...(alike.get(kind) ?? []), entry]);
    }
    if (this.socket?.readyState === WebSocket.OPEN) this.waiting.clear();
    for (const entries of alike.values()) this.send("subscribe", entries);
  }

  send(method, entries) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const [{ channel, rest }] = entries;
    const symbol = entries.map((entry) => entry.symbol).filter(Boolean);
    const params = { channel, ...rest, ...(symbol.length ? { symbol } : {}) };
    this.socket.send(JSON.stringify({ method, params, req_id: ++this.requests }));
  }

  open() {
    if (this.socket || !this.wanted.size) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.report(this, "connecting");
    const socket = (this.socket = new WebSocket(this.url));
    this.silence = setTimeout(() => this.closed(), STALE_AFTER_MS); // a lost network may leave it connecting for minutes
    socket.onopen = () => this.socket === socket && this.opened();
    socket.onmessage = (event) => this.socket === socket && this.heard(JSON.parse(event.data));
    socket.onclose = () => this.socket === socket && this.closed();
  }

  /** The network or the page came back: what is not live begins anew, and at once. */
  wake() {
    if (this.socket && this.status !== "live") this.closed();
    this.attempts = 0;
    this.open();
  }

  opened() {
    this.attempts = 0;
    this.listen();
    for (const entry of this.wanted.values()) this.waiting.add(entry);
    this.flush();
  }

  /** Something was heard. Silence makes the page stale; silence twice as long gives the socket up. */
  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.report(this, "stale");
      this.silence = setTimeout(() => this.closed(), STALE_AFTER_MS);
    }, STALE_AFTER_MS);
    this.report(this, "live");
  }

  closed() {
    clearTimeout(this.silence);
    this.socket?.close();
    this.socket = null;
    for (const entry of this.wanted.values()) entry.last = null;
    this.report(this, "offline");
    const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.attempts++);
    this.timer = setTimeout(() => this.open(), wait * (0.5 + Math.random() / 2));
  }

  heard(message) {
    this.listen();
    if (message.success === false) this.refused(message);
    if (!message.data || !message.channel) return;
    for (const entry of [...this.wanted.values()]) {
      if (entry.channel !== message.channel) continue;
      const data = entry.symbol ? message.data.filter((item) => item.symbol === entry.symbol) : message.data;
      if (!data.length && entry.symbol) continue;
      if (message.channel === "ticker") entry.last = { ...message, data, type: "snapshot" };
      for (const callback of entry.callbacks) callback({ ...message, data });
    }
  }
}
