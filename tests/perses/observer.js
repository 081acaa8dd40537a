// In a browser without a window nothing is painted until a picture is taken, and sizes are told to whoever observes them when
// something is painted. Here they are looked at by a timer: rows of tables, which depend on them, are there before.
const PERIOD = 50;

window.ResizeObserver = class {
  constructor(callback) {
    this.callback = callback;
    this.seen = new Map();
    this.timer = setInterval(() => this.look(), PERIOD);
  }

  look() {
    const entries = [];
    for (const [target, before] of this.seen) {
      const contentRect = target.getBoundingClientRect();
      const size = `${contentRect.width} ${contentRect.height}`;
      if (size === before) continue;
      this.seen.set(target, size);
      const box = [{ inlineSize: contentRect.width, blockSize: contentRect.height }];
      entries.push({ target, contentRect, borderBoxSize: box, contentBoxSize: box });
    }
    if (entries.length > 0) this.callback(entries, this);
  }

  observe(target) {
    this.seen.set(target, '');
  }

  unobserve(target) {
    this.seen.delete(target);
  }

  disconnect() {
    this.seen.clear();
  }
};
