"""The parts of the Twenty emulator; `emulators.twenty` puts them together."""
