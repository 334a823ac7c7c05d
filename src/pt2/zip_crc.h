/* The checksum of zip entries (CRC-32 of ISO 3309), as fast as the processor can. */
#ifndef QVK__ZIP_CRC_H
#define QVK__ZIP_CRC_H

#include "base/base.h"

/* Continues `crc` over more bytes; 0 begins. The same numbers as zlib's crc32. */
uint32_t qvk__zip_crc(uint32_t crc, const void *data, uint64_t bytes);
/* The checksum of two runs of bytes, one behind the other, from the checksum of each. */
uint32_t qvk__zip_crc_join(uint32_t first, uint32_t second, uint64_t second_bytes);

#endif
