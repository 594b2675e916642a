"""``torchrun`` whose ranks are forked from it, so that they need not load PyTorch again.

python -m tests.torchrun OPTIONS -m MODULE WORDS: the words, the agent, its restarts and its signals are those of
``python -m torch.distributed.run``. The name of each rank's process is ``rank`` and its number.
"""

import os
import sys
from pathlib import Path

from torch.distributed.launcher.api import elastic_launch
from torch.distributed.run import config_from_args, parse_args

from tests.processes import run_words


def rank(*words: str) -> None:
    Path("/proc/self/comm").write_text(f"rank {os.environ['RANK']}")
    run_words(["-m", *words])


def main() -> None:
    args = parse_args(sys.argv[1:])
    config, _, _ = config_from_args(args)
    config.start_method = "fork"
    elastic_launch(config, rank)(args.training_script, *args.training_script_args)


if __name__ == "__main__":
    main()
