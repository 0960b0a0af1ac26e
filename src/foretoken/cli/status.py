"""`foretoken status`: how a study stands, from its files alone."""

from __future__ import annotations

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, folder_of, load
from foretoken.cli.printing import print_json, print_status


def status(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print how many runs are planned, running, finished, diverged and failed, why some are new, forecast and outcome.

    Example: foretoken status quickstart
    """
    from foretoken.store.bucket import as_url
    from foretoken.study.study_status import status as study_status

    url = as_url(study)
    edited = None if study.is_dir() or url else load(study, seed)
    result = study_status(url if url and not folder else folder_of(study, seed, folder), edited)
    if json:
        print_json(result.to_json())
    else:
        print_status(result)
