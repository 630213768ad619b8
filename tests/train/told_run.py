"""A run that keeps what a fit tells it, in place of MLflow's, and can interrupt the fit."""

from train import tracking


class Told(tracking.SilentRun):
    """All that was logged, by step; raises like Ctrl-C at the step `stop_at`."""

    id = "run"

    def __init__(self, stop_at=None):
        self.metrics, self.pictures, self.status, self.stop_at = {}, [], "", stop_at

    @property
    def learned(self):
        """The metrics that are the same in every fit of a task: but for what a clock says."""
        return {
            step: {name: it for name, it in metrics.items() if name != "data_wait_share"}
            for step, metrics in self.metrics.items()
        }

    def log(self, metrics, step):
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.metrics[step] = dict(metrics)

    def picture(self, figure, name):
        self.pictures.append(name)

    def finish(self, status="FINISHED"):
        self.status = status
