"""Where a component stands: plain facts about the environment and the region that names, tags and documents need."""

from collections.abc import Mapping
from dataclasses import dataclass

from components import names


@dataclass(frozen=True, kw_only=True)
class RegionContext:
    """One region of one environment. `tags` go on every resource that can carry them."""

    organization: str
    environment: str
    region: str
    account: str
    tags: Mapping[str, str]
    permissions_boundary: str | None = None

    def physical(self, *parts: str, limit: int = 64) -> str:
        """A physical name `<organization>-<environment>-<parts…>`, cut with a hash at `limit` characters."""
        return names.bounded(limit, self.organization, self.environment, *parts)

    def bucket(self, purpose: str) -> str:
        """A globally unique bucket name in this region. Raises ValueError when it would be too long."""
        return names.bucket_name(self.organization, self.environment, self.region, purpose, self.account)

    def tagged(self, name: str, **more: str) -> dict[str, str]:
        """This region's tags with a resource's `Name`."""
        return names.tagged(self.tags, name, **more)

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """An ARN in this account; `regional=False` for services without a region (IAM, S3)."""
        return f"arn:aws:{service}:{self.region if regional else ''}:{self.account}:{resource}"
