"""What matplotlib draws on in a kernel: `plt.show()` makes images of the open figures (MPLBACKEND=module://charts)."""

import kernel
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg


class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        kernel.show_figures()


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
