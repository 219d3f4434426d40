// Asking again and again, less while nobody looks.

const AWAY = 10; // times as long between two questions

/** Runs `task` every `seconds`; never twice at once. A task tells of its own failures. */
export class Poller {
  constructor(task, seconds) {
    this.task = task;
    this.pause = seconds * 1000;
    this.timer = 0;
    this.running = false;
    this.again = false;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.now();
    });
  }

  /** Run the task at once, or as soon as the run that is under way has ended. */
  async now() {
    if (this.running) {
      this.again = true;
      return;
    }
    clearTimeout(this.timer);
    this.running = true;
    do {
      this.again = false;
      await this.task().catch(reportError); // and go on
    } while (this.again);
    this.running = false;
    this.timer = setTimeout(() => this.now(), document.hidden ? this.pause * AWAY : this.pause);
  }

  /** Run the task within `milliseconds`; further calls meanwhile change nothing. */
  soon(milliseconds) {
    this.hurry ??= setTimeout(() => {
      this.hurry = undefined;
      this.now();
    }, milliseconds);
  }
}
