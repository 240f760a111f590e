#include "runtime/images/unpack.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "runtime/images/digest.h"
#include "tests/unit/runtime/images/support.h"

namespace moth::images {
namespace {

using testing::make_tar;
using testing::read_all;
using testing::TempDir;
using testing::unpack;

class Unpack : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::is_root()) GTEST_SKIP() << "unpacking sets owners and makes nodes: needs root";
  }
  struct stat info(const std::string& name) const {
    struct stat result {};
    EXPECT_EQ(::lstat((root() + "/" + name).c_str(), &result), 0) << name;
    return result;
  }
  bool is_whiteout(const std::string& name) const {
    struct stat result = info(name);
    return S_ISCHR(result.st_mode) && result.st_rdev == makedev(0, 0);
  }
  bool is_opaque(const std::string& name) const {
    char value = 0;
    return ::lgetxattr((root() + "/" + name).c_str(), "trusted.overlay.opaque", &value, 1) == 1 &&
           value == 'y';
  }
  std::string root() const { return dir_ / "layer"; }
  std::string refusal(const std::vector<testing::TarEntry>& entries) {
    TempDir other;
    auto result = unpack(make_tar(entries), other / "layer");
    return result ? "accepted" : result.error().message;
  }
  TempDir dir_;
};

TEST_F(Unpack, KeepsEverythingThatAFileHas) {
  auto result = unpack(make_tar({{"etc/", 'd', "", 0750, 3, 4},
                                 {"etc/a",
                                  'f',
                                  "hello",
                                  04755,
                                  1,
                                  2,
                                  0,
                                  0,
                                  {{"user.note", "x"}, {"trusted.overlay.redirect", "/etc"}}},
                                 {"etc/b", 'h', "etc/a"},
                                 {"etc/c", 'l', "../../etc/shadow", 0777, 5, 6},
                                 {"pipe", 'p'},
                                 {"deep/er/file", 'f', "y"},
                                 {"n\xc3\xa4me", 'f', "z"}}),
                       root());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(read_all(root() + "/etc/a"), "hello");
  EXPECT_EQ(info("etc/a").st_mode & 07777, 04755U);
  EXPECT_EQ(info("etc/a").st_uid, 1U);
  EXPECT_EQ(info("etc/a").st_gid, 2U);
  EXPECT_EQ(info("etc/a").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(info("etc/a").st_ino, info("etc/b").st_ino);
  EXPECT_EQ(info("etc").st_mode & 07777, 0750U);
  EXPECT_EQ(info("etc").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(info("etc/c").st_uid, 5U);
  EXPECT_TRUE(S_ISLNK(info("etc/c").st_mode));
  EXPECT_TRUE(S_ISFIFO(info("pipe").st_mode));
  EXPECT_EQ(read_all(root() + "/deep/er/file"), "y");
  EXPECT_EQ(read_all(root() + "/n\xc3\xa4me"), "z");
  char value[8];
  EXPECT_EQ(::getxattr((root() + "/etc/a").c_str(), "user.note", value, sizeof(value)), 1);
  EXPECT_LT(::getxattr((root() + "/etc/a").c_str(), "trusted.overlay.redirect", value, 8), 0);
  EXPECT_EQ(result->size_bytes, 7U);
}

TEST_F(Unpack, Digests) {
  std::string tar = make_tar({{"a", 'f', std::string(100'000, 'x')}});
  for (auto kind : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    TempDir other;
    auto bytes = compress(tar, kind);
    ASSERT_TRUE(bytes);
    // Bytes after the archive's end belong to the digest too.
    auto result = unpack(*bytes, other / "layer");
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->digest, sha256_digest(*bytes));
    EXPECT_EQ(result->diff_id, sha256_digest(tar));
    EXPECT_EQ(result->compressed_bytes, bytes->size());
  }
  std::string padded = tar + std::string(5000, '\0');
  TempDir other;
  EXPECT_EQ(unpack(padded, other / "l")->diff_id, sha256_digest(padded));
}

TEST_F(Unpack, SeveralGzipMembersAreOneStream) {
  std::string tar = make_tar({{"a", 'f', "1"}, {"b", 'f', "2"}});
  std::string bytes = *compress(tar.substr(0, 700), Compression::kGzip) +
                      *compress(tar.substr(700), Compression::kGzip);
  auto result = unpack(bytes, root());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->diff_id, sha256_digest(tar));
  EXPECT_EQ(read_all(root() + "/b"), "2");
}

TEST_F(Unpack, WhiteoutsBecomeOverlays) {
  auto result = unpack(make_tar({{"gone/.wh.file"},
                                 {"cleared/", 'd', "", 0755},
                                 {"cleared/.wh..wh..opq"},
                                 {"cleared/new", 'f', "n"},
                                 {".wh..wh.plnk", 'd'},
                                 {".wh.replaced"},
                                 {"replaced/", 'd', "", 0755},
                                 {"late/", 'd', "", 0755},
                                 {".wh.late"},
                                 {"kept", 'f', "k"},
                                 {".wh.kept"}}),
                       root());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(is_whiteout("gone/file"));
  EXPECT_TRUE(is_opaque("cleared"));
  EXPECT_EQ(read_all(root() + "/cleared/new"), "n");
  EXPECT_FALSE(std::filesystem::exists(root() + "/cleared/.wh..wh..opq"));
  EXPECT_FALSE(std::filesystem::exists(root() + "/.wh..wh.plnk"));
  EXPECT_TRUE(S_ISDIR(info("replaced").st_mode));
  EXPECT_TRUE(is_opaque("replaced"));
  EXPECT_TRUE(is_opaque("late"));
  EXPECT_EQ(read_all(root() + "/kept"), "k");
  EXPECT_NE(refusal({{".wh..."}}), "accepted");
  EXPECT_NE(refusal({{"a/.wh."}}), "accepted");
}

TEST_F(Unpack, LaterEntriesReplaceEarlierOnes) {
  auto result = unpack(make_tar({{"a", 'f', "1"},
                                 {"a", 'f', "2"},
                                 {"d/", 'd', "", 0755},
                                 {"d/x", 'f', "x"},
                                 {"d", 'l', "a"},
                                 {"l", 'l', "a"},
                                 {"l/", 'd', "", 0755},
                                 {"l/y", 'f', "y"}}),
                       root());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(read_all(root() + "/a"), "2");
  EXPECT_TRUE(S_ISLNK(info("d").st_mode));
  EXPECT_EQ(read_all(root() + "/l/y"), "y");
}

TEST_F(Unpack, NothingLeavesTheDirectory) {
  std::string outside = dir_ / "outside";
  std::filesystem::create_directories(outside);
  testing::write_all(outside + "/victim", "safe");

  EXPECT_NE(refusal({{"../escape", 'f', "x"}}).find("leads out of the image"), std::string::npos);
  EXPECT_NE(refusal({{"a/../../escape", 'f', "x"}}).find("leads out"), std::string::npos);
  EXPECT_NE(refusal({{"h", 'h', "../outside/victim"}}).find("leads out"), std::string::npos);

  // Absolute names land inside.
  auto absolute = unpack(make_tar({{"/etc/abs", 'f', "in"}}), root());
  ASSERT_TRUE(absolute) << absolute.error().message;
  EXPECT_EQ(read_all(root() + "/etc/abs"), "in");

  // Through a link that points outside: resolved as in a chroot.
  for (const std::string& target :
       {outside, std::string("../outside"), std::string("../../../..")}) {
    TempDir other;
    std::filesystem::create_directories(other / "outside");
    testing::write_all(other / "outside/victim", "safe");
    auto result =
        unpack(make_tar({{"link", 'l', target}, {"link/victim", 'f', "owned"}}), other / "layer");
    EXPECT_EQ(read_all(outside + "/victim"), "safe");
    EXPECT_EQ(read_all(other / "outside/victim"), "safe");
    EXPECT_FALSE(std::filesystem::exists("/victim"));
    static_cast<void>(result);
  }
  // Hard links to what a link names, and writing through them.
  TempDir third;
  auto hard =
      unpack(make_tar({{"link", 'l', outside}, {"h", 'h', "link/victim"}, {"h", 'f', "owned"}}),
             third / "layer");
  EXPECT_EQ(read_all(outside + "/victim"), "safe");
  // A file written over a link replaces the link.
  TempDir fourth;
  ASSERT_TRUE(
      unpack(make_tar({{"f", 'l', outside + "/victim"}, {"f", 'f', "owned"}}), fourth / "layer"));
  EXPECT_EQ(read_all(outside + "/victim"), "safe");
  EXPECT_EQ(read_all(fourth / "layer/f"), "owned");
  // Deleting through a link stays inside as well.
  TempDir fifth;
  auto gone = unpack(make_tar({{"link", 'l', outside}, {"link/.wh.victim"}, {"link/.wh..wh..opq"}}),
                     fifth / "layer");
  EXPECT_EQ(read_all(outside + "/victim"), "safe");
}

TEST_F(Unpack, DevicesFromOutsideAreRefused) {
  EXPECT_EQ(refusal({{"disk", 'b', "", 0600, 0, 0, 8, 0}}),
            "layer: \"disk\" is a device node (block 8:0): images must not bring their own");
  EXPECT_NE(refusal({{"etc/mem", 'c', "", 0666, 0, 0, 1, 1}}), "accepted");
  // An overlay whiteout that did not come as one.
  EXPECT_NE(refusal({{"etc/w", 'c', "", 0666, 0, 0, 0, 0}}), "accepted");
  auto result = unpack(make_tar({{"dev/", 'd', "", 0755},
                                 {"dev/sda", 'b', "", 0600, 0, 0, 8, 0},
                                 {"var/null", 'c', "", 0666, 0, 0, 1, 3}}),
                       root());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->skipped_devices, 1U);
  EXPECT_FALSE(std::filesystem::exists(root() + "/dev/sda"));
  EXPECT_TRUE(S_ISCHR(info("var/null").st_mode));
}

TEST_F(Unpack, BombsAreBounded) {
  UnpackOptions options;
  options.limits.max_bytes = 1 << 20;
  std::string big = make_tar({{"a", 'f', std::string(3 << 20, '\0')}});
  TempDir one;
  auto result = unpack(*compress(big, Compression::kGzip), one / "l", options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kRequestEntityTooLarge);

  UnpackOptions ratio;
  ratio.limits.ratio_free_bytes = 1 << 20;
  ratio.limits.ratio = 100;
  TempDir two;
  result = unpack(*compress(big, Compression::kZstd), two / "l", ratio);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("decompression bomb"), std::string::npos);

  UnpackOptions few;
  few.max_entries = 2;
  TempDir three;
  EXPECT_FALSE(unpack(make_tar({{"a"}, {"b"}, {"c"}}), three / "l", few));
}

TEST_F(Unpack, DamagedInputIsRefused) {
  std::string tar = make_tar({{"a", 'f', std::string(50'000, 'q')}});
  std::string gz = *compress(tar, Compression::kGzip);
  TempDir dir;
  int i = 0;
  auto broken = [&](const std::string& bytes) {
    return !unpack(bytes, dir / fmt::format("l{}", i++)).has_value();
  };
  EXPECT_TRUE(broken(gz.substr(0, gz.size() / 2)));
  EXPECT_TRUE(broken(gz.substr(0, gz.size() - 4)));
  EXPECT_TRUE(broken(tar.substr(0, 20'000)));
  EXPECT_TRUE(broken("this is no archive at all, just some text"));
  std::string flipped = gz;
  flipped[gz.size() - 6] = static_cast<char>(flipped[gz.size() - 6] ^ 0x55);  // the CRC
  EXPECT_TRUE(broken(flipped));
  std::string zstd = *compress(tar, Compression::kZstd);
  EXPECT_TRUE(broken(zstd.substr(0, zstd.size() - 3)));

  auto source = memory_source(gz);
  std::filesystem::create_directories(dir / "v");
  auto verified = unpack_verified(*source, dir / "v", "sha256:" + std::string(64, '0'), "");
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().message, "layer: the content's digest is " + sha256_digest(gz) +
                                          ", but sha256:" + std::string(64, '0') +
                                          " was asked for: refused");
  auto again = memory_source(gz);
  std::filesystem::create_directories(dir / "w");
  EXPECT_FALSE(unpack_verified(*again, dir / "w", "", "sha256:" + std::string(64, '0')));
}

TEST_F(Unpack, HardLinksToOtherLayersAreTold) {
  EXPECT_EQ(refusal({{"a", 'h', "nothing/here"}}),
            "layer: \"a\" is a hard link to \"nothing/here\", which is not in this layer");
}

TEST_F(Unpack, PackingGivesBackWhatWasUnpacked) {
  std::string tar =
      make_tar({{"d/", 'd', "", 0711, 1, 1},
                {"d/f", 'f', std::string(70'000, 'f'), 04755, 7, 8, 0, 0, {{"user.k", "v"}}},
                {"d/g", 'h', "d/f"},
                {"d/s", 'l', "f"},
                {"d/.wh.w"},
                {"o/", 'd', "", 0755},
                {"o/.wh..wh..opq"},
                {"n\xc3\xa4me", 'f', "z"}});
  ASSERT_TRUE(unpack(tar, root()));
  auto pack = [](const std::string& directory) {
    std::string out;
    auto packed = pack_layer(directory, [&](std::string_view piece) {
      out += piece;
      return Result<void>();
    });
    EXPECT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(packed->diff_id, sha256_digest(out));
    EXPECT_EQ(packed->size_bytes, out.size());
    return out;
  };
  std::string first = pack(root());
  EXPECT_EQ(first, pack(root()));
  ASSERT_TRUE(unpack(first, dir_ / "again"));
  EXPECT_EQ(first, pack(dir_ / "again"));
  char value[4];
  EXPECT_EQ(::getxattr((dir_ / "again/d/f").c_str(), "user.k", value, 4), 1);
  EXPECT_EQ(::lgetxattr((dir_ / "again/o").c_str(), "trusted.overlay.opaque", value, 4), 1);
}

}  // namespace
}  // namespace moth::images
