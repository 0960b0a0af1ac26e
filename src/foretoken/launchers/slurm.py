from foretoken.launchers.local import LocalLauncher as SlurmLauncher  # noqa
