// Vectors with a lane for each instance of a Verilated class; the number of lanes is PHANTOM_LANES, a power of two.
#ifndef PHANTOM_LANES_H
#define PHANTOM_LANES_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#define PHANTOM_INLINE static inline __attribute__((always_inline))

namespace phantom::lanes {

constexpr size_t kLanes = PHANTOM_LANES;

typedef uint8_t u8 __attribute__((vector_size(kLanes)));
typedef uint16_t u16 __attribute__((vector_size(2 * kLanes)));
typedef uint32_t u32 __attribute__((vector_size(4 * kLanes)));
typedef uint64_t u64 __attribute__((vector_size(8 * kLanes)));
// masks: a lane is all ones or zero
typedef int8_t s8 __attribute__((vector_size(kLanes)));
typedef int16_t s16 __attribute__((vector_size(2 * kLanes)));
typedef int32_t s32 __attribute__((vector_size(4 * kLanes)));
typedef uint16_t pairs __attribute__((vector_size(kLanes)));  // of lanes of 8 bits

template <typename To, typename From>
PHANTOM_INLINE To to(From value) {
    if constexpr (std::is_same_v<To, From>) return value;
    else return __builtin_convertvector(value, To);
}

template <typename To, typename Element>
PHANTOM_INLINE To splat(Element value) { return To{} + value; }

// The lanes of a mask as 0 and 1.
PHANTOM_INLINE u8 bits(s8 mask) { return u8(mask) & uint8_t(1); }
PHANTOM_INLINE u16 bits(s16 mask) { return u16(mask) & uint16_t(1); }
PHANTOM_INLINE u32 bits(s32 mask) { return u32(mask) & uint32_t(1); }

// The high 32 bits of a product.
PHANTOM_INLINE u32 high(u32 left, u32 right) {
    return __builtin_convertvector((__builtin_convertvector(left, u64) * __builtin_convertvector(right, u64)) >> 32, u32);
}

// Shifts of lanes of 8 bits: what leaves a lane comes into its neighbour. The caller takes care of that.
PHANTOM_INLINE u8 left(u8 value, int by) { return u8(pairs(value) << by); }
PHANTOM_INLINE u8 right(u8 value, int by) { return u8(pairs(value) >> by); }

// A number of so many bits, with its sign.
template <int kBits, typename Vector>
PHANTOM_INLINE Vector extend(Vector value) {
    using Single = std::remove_cv_t<std::remove_reference_t<decltype(value[0])>>;
    if constexpr (kBits >= 8 * sizeof(Single)) return value;
    else return value | -(value & Single(Single(1) << (kBits - 1)));
}

// The lanes of a mask, a bit each.
template <typename Mask>
PHANTOM_INLINE uint64_t lanes_of(Mask mask) {
#if defined(__AVX512BW__)
    if constexpr (kLanes == 64) return _mm512_movepi8_mask(__m512i(mask));
#endif
#if defined(__AVX2__)
    if constexpr (kLanes == 32) return uint32_t(_mm256_movemask_epi8(__m256i(mask)));
#endif
#if defined(__SSE2__)
    if constexpr (kLanes == 16) return uint32_t(_mm_movemask_epi8(__m128i(mask)));
#endif
    uint64_t found = 0;
    for (size_t lane = 0; lane < kLanes; ++lane) found |= uint64_t(mask[lane] & 1) << lane;
    return found;
}

PHANTOM_INLINE bool any(s8 mask) {
    uint64_t words[(kLanes + 7) / 8] = {}, found = 0;
    if constexpr (kLanes >= 16) return lanes_of(mask) != 0;
    memcpy(words, &mask, sizeof mask);
    for (uint64_t word : words) found |= word;
    return found != 0;
}

// What lies in a vector, seen as its elements.
template <typename Vector>
using Element [[gnu::may_alias]] = std::remove_cv_t<std::remove_reference_t<decltype(Vector{}[0])>>;

// The elements that each lane chooses of a memory of vectors that lie `step` vectors apart. Not inline: there are
// hundreds of memories, and the code would not stay in the cache.
template <typename Vector, typename Index>
__attribute__((noinline)) Vector gather_from(const Vector* memory, Index index, size_t step) {
    Element<Index> chosen[kLanes];
    Element<Vector> found[kLanes];
    memcpy(chosen, &index, sizeof index);
    const auto* from = reinterpret_cast<const Element<Vector>*>(memory);
#pragma GCC unroll 64
    for (size_t lane = 0; lane < kLanes; ++lane) found[lane] = from[chosen[lane] * step * kLanes + lane];
    Vector result;
    memcpy(&result, found, sizeof result);
    return result;
}

// Writes the lanes of a mask.
template <typename Vector, typename Index>
__attribute__((noinline)) void scatter_to(Vector* memory, Index index, Vector value, s8 mask, size_t depth, size_t step) {
    Element<Index> chosen[kLanes];
    Element<Vector> values[kLanes];
    memcpy(chosen, &index, sizeof index);
    memcpy(values, &value, sizeof value);
    auto* to = reinterpret_cast<Element<Vector>*>(memory);
    for (uint64_t left = lanes_of(mask); left != 0; left &= left - 1) {
        const size_t lane = __builtin_ctzll(left), at = chosen[lane];
        if (at < depth) to[at * step * kLanes + lane] = values[lane];
    }
}

// `index`, or 0 where it is not less than `depth`: no design depends on what is there.
template <size_t kDepth, typename Index>
PHANTOM_INLINE Index inside(Index index) { return index & Index(index < Element<Index>(kDepth)); }

template <typename Vector, size_t kDepth, typename Index>
PHANTOM_INLINE Vector gather(const Vector (&memory)[kDepth], Index index) { return gather_from(memory, index, 1); }

template <size_t kWord, typename Vector, size_t kDepth, size_t kWords, typename Index>
PHANTOM_INLINE Vector gather(const Vector (&memory)[kDepth][kWords], Index index) {
    return gather_from(memory[0] + kWord, index, kWords);
}

template <typename Vector, size_t kDepth, typename Index>
PHANTOM_INLINE void scatter(Vector (&memory)[kDepth], Index index, Vector value, s8 mask) {
    scatter_to(memory, index, value, mask, kDepth, 1);
}

template <size_t kWord, typename Vector, size_t kDepth, size_t kWords, typename Index>
PHANTOM_INLINE void scatter(Vector (&memory)[kDepth][kWords], Index index, Vector value, s8 mask) {
    scatter_to(memory[0] + kWord, index, value, mask, kDepth, kWords);
}

// Entries of a table that is the same for all lanes.
template <typename Entry, size_t kDepth, typename Index>
PHANTOM_INLINE auto lookup(const Entry (&table)[kDepth], Index index) {
    using Vector = std::conditional_t<sizeof(Entry) == 1, u8, std::conditional_t<sizeof(Entry) == 2, u16, u32>>;
#if defined(__SSSE3__)
    if constexpr (kDepth <= 16 && std::is_same_v<Vector, u8> && std::is_same_v<Index, u8>) {
        __m128i entries = _mm_setzero_si128();
        memcpy(&entries, table, kDepth);
        if constexpr (kLanes == 16) return u8(_mm_shuffle_epi8(entries, __m128i(index)));
#if defined(__AVX2__)
        if constexpr (kLanes == 32) return u8(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), __m256i(index)));
#endif
#if defined(__AVX512BW__)
        if constexpr (kLanes == 64) return u8(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), __m512i(index)));
#endif
    }
#endif
    Vector found{};
    for (size_t lane = 0; lane < kLanes; ++lane) {
        const size_t at = index[lane];
        found[lane] = at < kDepth ? table[at] : Entry(0);
    }
    return found;
}

}  // namespace phantom::lanes

#endif
