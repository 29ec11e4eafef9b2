"""What all parts of the lab share: `with` closes them."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Something that `close` removes, at the latest when its `with` block ends."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything; once is enough."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
