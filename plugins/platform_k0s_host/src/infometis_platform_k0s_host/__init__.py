"""k0s on machines reached by SSH, or on this one."""

from infometis_platform_k0s_host.settings import Host, K0sHost

__all__ = ("Host", "K0sHost")
