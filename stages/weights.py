"""Fetch the pretrained weights from which the training starts, if it starts from any, and check them.

reads    the file that network.pretrained names, a URL or a path
writes   models/pretrained/source.json: its name, SHA-256 and size
         models/pretrained/weights.pt: the same bytes, unless network.pretrained is none
params   network.design, network.pretrained
"""

from pathlib import Path

from classifier.runtime.stage import stage

PRETRAINED = Path("models/pretrained")


def main() -> None:
    """Run the stage."""
    with stage("weights", __doc__):
        from classifier.params import read_params
        from classifier.runtime.console import log
        from classifier.runtime.files import atomic_outputs
        from classifier.runtime.paths import repository_root

        network = read_params(Path("params.yaml")).network
        root = repository_root(Path.cwd())
        log(f"weights: {network.pretrained}")
        with atomic_outputs() as place:
            from classifier.networks.pretrained import fetch_weights

            source = fetch_weights(network.pretrained, network.design, place(PRETRAINED), root)
        size = f", {source['bytes'] / 1e6:,.1f} MB, SHA-256 {source['sha256'][:8]}..." if "sha256" in source else ""
        log(f"weights: {network.pretrained}{size}, in {PRETRAINED}")


if __name__ == "__main__":
    main()
