#include "api/http/spdy/frame.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "api/http/spdy/header_block.h"

namespace moth::http::spdy {
namespace {

using namespace std::string_literals;

std::string from_hex(std::string_view text) {
  std::string out;
  std::string digits;
  for (char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    out.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return out;
}

Frame only(std::string_view bytes) {
  FrameReader reader;
  reader.feed(bytes);
  auto frame = reader.next();
  EXPECT_TRUE(frame && *frame) << (frame ? "no frame" : frame.error().message);
  return frame && *frame ? **frame : Frame();
}

struct Wire {
  const char* hex;
  Frame frame;
};

Frame make(FrameType type, std::uint32_t stream, std::uint32_t number = 0, std::string payload = "",
           std::uint8_t flags = 0) {
  Frame frame;
  frame.type = type;
  frame.stream = stream;
  frame.number = number;
  frame.payload = std::move(payload);
  frame.flags = flags;
  return frame;
}

TEST(SpdyFrame, BothWays) {
  Frame settings = make(FrameType::kSettings, 0);
  settings.settings = {{7, 65536}, {4, 100}};
  const Wire table[] = {
      {"80 03 00 01 00 00 00 0b 00 00 00 01 00 00 00 00 00 00 78",
       make(FrameType::kSynStream, 1, 0, "x")},
      {"80 03 00 01 01 00 00 0a 00 00 00 05 00 00 00 03 00 00",
       make(FrameType::kSynStream, 5, 3, "", kFlagFin)},
      {"80 03 00 02 00 00 00 06 00 00 00 03 61 62", make(FrameType::kSynReply, 3, 0, "ab")},
      {"80 03 00 03 00 00 00 08 00 00 00 03 00 00 00 05", make(FrameType::kRstStream, 3, 5)},
      {"80 03 00 06 00 00 00 04 00 00 00 01", make(FrameType::kPing, 1)},
      {"80 03 00 07 00 00 00 08 00 00 00 09 00 00 00 00", make(FrameType::kGoAway, 9)},
      {"80 03 00 08 00 00 00 05 00 00 00 01 7a", make(FrameType::kHeaders, 1, 0, "z")},
      {"80 03 00 09 00 00 00 08 00 00 00 00 00 01 00 00", make(FrameType::kWindowUpdate, 0, 65536)},
      {"80 03 00 04 00 00 00 14 00 00 00 02 00 00 00 07 00 01 00 00 00 00 00 04 00 00 00 64",
       settings},
      {"00 00 00 03 01 00 00 00", make(FrameType::kData, 3, 0, "", kFlagFin)},
      {"00 00 00 03 00 00 00 02 68 69", make(FrameType::kData, 3, 0, "hi")},
  };
  for (const Wire& wire : table) {
    std::string bytes = from_hex(wire.hex);
    EXPECT_EQ(encode(wire.frame), bytes) << wire.hex;
    Frame read = only(bytes);
    EXPECT_EQ(read.type, wire.frame.type) << wire.hex;
    EXPECT_EQ(read.stream, wire.frame.stream) << wire.hex;
    EXPECT_EQ(read.number, wire.frame.number) << wire.hex;
    EXPECT_EQ(read.flags, wire.frame.flags) << wire.hex;
    EXPECT_EQ(read.payload, wire.frame.payload) << wire.hex;
    EXPECT_EQ(read.settings, wire.frame.settings) << wire.hex;
  }
}

TEST(SpdyFrame, AnySplitOfTheBytesGivesTheSameFrames) {
  std::string bytes;
  for (int i = 0; i < 3; ++i) {
    bytes += encode(make(FrameType::kData, 1, 0, std::string(100, 'a'), i == 2 ? kFlagFin : 0));
    bytes += encode(make(FrameType::kPing, 7));
    bytes += from_hex("80 03 00 05 00 00 00 03 01 02 03");  // unknown: skipped
  }
  for (std::size_t step : {1UL, 2UL, 7UL, 51UL, 1000UL}) {
    FrameReader reader;
    std::string data;
    int pings = 0, ends = 0;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      reader.feed(std::string_view(bytes).substr(at, step));
      for (;;) {
        auto frame = reader.next();
        ASSERT_TRUE(frame) << frame.error().message;
        if (!*frame) break;
        if ((*frame)->type == FrameType::kPing) ++pings;
        if ((*frame)->type == FrameType::kData) data += (*frame)->payload;
        ends += (*frame)->fin();
      }
    }
    EXPECT_EQ(data, std::string(300, 'a')) << step;
    EXPECT_EQ(pings, 3) << step;
    EXPECT_EQ(ends, 1) << step;
  }
}

TEST(SpdyFrame, Violations) {
  for (const char* hex : {
           "80 02 00 06 00 00 00 04 00 00 00 01",              // version 2
           "80 03 00 06 00 00 00 03 00 00 00",                 // PING too short
           "80 03 00 03 00 00 00 08 00 00 00 00 00 00 00 01",  // RST_STREAM of stream 0
           "80 03 00 01 00 00 00 09 00 00 00 01 00 00 00 00 00",
           "80 03 00 04 00 00 00 08 00 00 00 02 00 00 00 07",  // SETTINGS of a wrong size
           "80 03 00 01 00 ff ff ff",                          // 16 MiB of headers
           "00 00 00 00 00 00 00 00",                          // data on stream 0
       }) {
    FrameReader reader;
    reader.feed(from_hex(hex));
    EXPECT_FALSE(reader.next()) << hex;
  }
}

TEST(SpdyHeaders, TheDictionaryIsTheStandards) {
  const std::string& dictionary = header_dictionary();
  EXPECT_EQ(dictionary.size(), 1423U);
  EXPECT_EQ(::adler32(::adler32(0, nullptr, 0), reinterpret_cast<const Bytef*>(dictionary.data()),
                      static_cast<uInt>(dictionary.size())),
            0xe3c6a7c2u);
}

TEST(SpdyHeaders, OneDeflateStreamForManyBlocks) {
  HeaderDeflater deflater;
  HeaderInflater inflater;
  for (int i = 0; i < 50; ++i) {
    Headers headers{{"StreamType", i % 2 ? "data" : "error"},
                    {"port", "80"},
                    {"requestid", std::to_string(i / 2)}};
    std::string compressed = deflater.deflate(encode_headers(headers));
    if (i > 1) {
      EXPECT_LT(compressed.size(), 40U);
    }
    auto block = inflater.inflate(compressed);
    ASSERT_TRUE(block) << block.error().message;
    auto back = decode_headers(*block);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->begin()->name, "streamtype");
    EXPECT_EQ(back->get("RequestID"), std::to_string(i / 2));
    EXPECT_EQ(back->size(), 3U);
  }
}

TEST(SpdyHeaders, ConstantEmptyBlocksOfServersWithoutDictionary) {
  HeaderInflater inflater;
  for (const char* hex : {"78 01 00 04 00 fb ff 00 00 00 00 00 00 00 ff ff",
                          "00 04 00 fb ff 00 00 00 00 00 00 00 ff ff"}) {
    auto block = inflater.inflate(from_hex(hex));
    ASSERT_TRUE(block) << block.error().message;
    EXPECT_EQ(*block, "\0\0\0\0"s);
  }
}

TEST(SpdyHeaders, BadBlocks) {
  HeaderInflater inflater;
  EXPECT_FALSE(inflater.inflate("not deflated"));
  HeaderDeflater deflater;
  HeaderInflater other;
  EXPECT_FALSE(other.inflate(deflater.deflate(std::string(1 << 20, 'a'))));  // a bomb
  for (const std::string& block :
       {""s, "\0\0\0\1"s, "\0\0\0\1\0\0\0\1"s, "\xff\xff\xff\xff"s, "\0\0\0\1\0\0\0\0\0\0\0\0"s,
        "\0\0\0\1\0\0\0\1a\xff\xff\xff\xff"s}) {
    EXPECT_FALSE(decode_headers(block));
  }
}

}  // namespace
}  // namespace moth::http::spdy
