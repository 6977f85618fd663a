"""`hrformer train`: makes weights from labelled pictures."""

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Trains a model by a recipe and keeps the best averaged weights.

OUTPUT gets model.safetensors (as good as the best validation), metrics.jsonl, samples.jpg, samples/ with a
sheet for each epoch, and state.pt, with which --resume goes on. Fields of the recipe may be set:
batch_size=16 augmentation.flip=0.

Several GPUs: torchrun --nproc-per-node 8 -m hrformer train RECIPE …

Ctrl-C stops after the step at hand and keeps the state; a second one stops at once.

Exit codes: 0 trained to the end, 2 wrong use or data that are not in their format, 130 interrupted."""


def parser() -> argparse.ArgumentParser:
    """The flags; the recipes' names are those of the table."""
    from hrformer.training.recipes import RECIPES

    p = argparse.ArgumentParser(
        "hrformer train",
        description=DESCRIPTION,
        epilog=f"Recipes: {', '.join(RECIPES)}.",  # the help of a flag would be broken at the hyphens
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("recipe", metavar="RECIPE", help="one of those below")
    p.add_argument("fields", metavar="FIELD=VALUE", nargs="*", help="fields of the recipe to change")
    p.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        required=True,
        action="append",
        help="folder of the data set; repeated, further sets are trained on too, and the first one decides",
    )
    p.add_argument("--output", type=Path, required=True, help="folder for weights, state and figures")
    p.add_argument(
        "--minutes", type=float, help="length of the run, over all sittings (default: the recipe's steps)"
    )
    p.add_argument("--resume", action="store_true", help="go on from the state in OUTPUT")
    p.add_argument("--from", dest="source", metavar="MODEL", help="start from the weights of a name or file")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: auto)")
    p.add_argument(
        "--unreadable",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do about a picture or mask to train on that is missing or broken (default: refuse)",
    )
    p.add_argument("--tensorboard", action="store_true", help="event files in OUTPUT/tensorboard as well")
    p.add_argument("--threads", type=int, help="of the CPU (default: torch's choice)")
    return p


def main(argv: list[str]) -> int:
    """Trains; interrupted, it says whether there is a state to go on from."""
    # Intermixed, so that fields may stand on either side of the flags.
    arguments = parser().parse_intermixed_args(argv)
    from hrformer.training.distributed import started
    from hrformer.training.sitting import sit
    from hrformer.training.state import FILE

    try:
        sit(
            arguments.recipe,
            arguments.fields,
            data=arguments.data,
            output=arguments.output,
            minutes=arguments.minutes,
            resume=arguments.resume,
            source=arguments.source,
            device=arguments.device,
            threads=arguments.threads,
            tensorboard=arguments.tensorboard,
            unreadable=arguments.unreadable,
        )
    except KeyboardInterrupt:
        kept = (arguments.output / FILE).exists()
        hint = f"{arguments.output} keeps the state, go on with --resume" if kept else "there is no state yet"
        if started().is_first:
            print(f"interrupted; {hint}", file=sys.stderr)
        return 130
    return 0
