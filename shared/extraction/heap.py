"""The C library's heap, before children are forked that will use it.

What importing and trying out has left free lies scattered over the heap. A child that is given such a piece writes on a page that it shares
with its fork server, and the kernel copies the page: 360 pages and 1.2 ms for a PDF of two pages. Without those pieces it takes new memory,
in one place.
"""

import ctypes

_LARGEST, _SMALLEST, _ALIGNMENT = 128 * 1024, 16, 16
"""Larger pieces are mapped by themselves (M_MMAP_THRESHOLD of mallopt(3))."""
_FINE = 1024
"""Up to this size the C library has a list for each multiple of the alignment."""
_AT_MOST = 100_000
_MARGIN = 4096


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    )  # fmt: skip


def take_free_pieces() -> int:
    """Take every free piece of the heap but its end, for good; how many those were. Nothing without glibc 2.33 or later."""
    libc = ctypes.PyDLL(None)  # holds the GIL: nothing else of Python allocates meanwhile
    if not hasattr(libc, "mallinfo2"):
        return 0
    libc.mallinfo2.restype = _Mallinfo2
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_size_t, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_size_t]
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_size_t, [ctypes.c_ssize_t]
    taken, size = 0, _LARGEST
    while size >= _SMALLEST and taken < _AT_MOST:
        info, end = libc.mallinfo2(), libc.sbrk(0)
        piece = libc.malloc(size)
        if end - info.arena <= piece < end - info.keepcost - _MARGIN:
            taken += 1
            continue
        libc.free(piece)
        size -= max(_ALIGNMENT, size // 8 // _ALIGNMENT * _ALIGNMENT) if size > _FINE else _ALIGNMENT
    return taken
