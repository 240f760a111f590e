#include "runtime/images/store.h"

#include <fmt/format.h>

#include "runtime/images/archive.h"
#include "tests/unit/runtime/images/support.h"

namespace moth::images {
namespace {

using testing::make_docker_archive;
using testing::make_tar;
using testing::TempDir;
using testing::TestImage;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::is_root()) GTEST_SKIP() << "unpacking sets owners: needs root";
    open();
  }
  void open() {
    store_.reset();
    auto opened = Store::open(dir_ / "images");
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  ImagePtr load(const TestImage& image) {
    auto source = memory_source(image.archive);
    auto loaded = load_archive(*store_, *source);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded && !loaded->empty() ? loaded->front().image : nullptr;
  }
  std::size_t layer_count() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(dir_ / "images/layers")) {
      ++count;
    }
    return count;
  }
  std::string base_ = make_tar({{"bin/", 'd', "", 0755}, {"bin/sh", 'f', "sh"}});
  std::string top_ = make_tar({{"app", 'f', "app"}});
  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, LoadsAndFinds) {
  TestImage archive = make_docker_archive({base_, *compress(top_, Compression::kGzip)},
                                          {"app:v1", "r.io/x/app:v1"});
  ImagePtr image = load(archive);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->id, archive.id);
  EXPECT_EQ(image->names, (std::vector<std::string>{"docker.io/library/app:v1", "r.io/x/app:v1"}));
  EXPECT_EQ(image->config.entrypoint, std::vector<std::string>{"/app"});
  EXPECT_EQ(image->config.stop_signal, "SIGINT");
  EXPECT_TRUE(image->local);
  EXPECT_EQ(image->size_bytes, 5U);
  EXPECT_EQ(store_->find("app:v1"), image);
  EXPECT_EQ(store_->find("docker.io/library/app:v1"), image);
  EXPECT_EQ(store_->find(image->id), image);
  EXPECT_EQ(store_->find(image->id.substr(7, 12)), image);
  EXPECT_EQ(store_->find(image->id.substr(7, 8)), nullptr);
  EXPECT_EQ(store_->find("app"), nullptr);
  auto layers = store_->layer_directories(*image);
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(testing::read_all(layers[0] + "/bin/sh"), "sh");
  EXPECT_EQ(testing::read_all(layers[1] + "/app"), "app");
}

TEST_F(StoreTest, SurvivesARestart) {
  ImagePtr image = load(make_docker_archive({base_, top_}, {"app:v1"}));
  open();
  ImagePtr again = store_->find("app:v1");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, image->id);
  EXPECT_EQ(again->layers, image->layers);
  EXPECT_EQ(again->size_bytes, image->size_bytes);
  EXPECT_EQ(again->stored_at, image->stored_at);
  EXPECT_TRUE(again->local);
}

TEST_F(StoreTest, OneProcessAtATime) {
  auto second = Store::open(dir_ / "images");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, Reason::kConflict);
}

TEST_F(StoreTest, LayersAreSharedAndGoWithTheirLastImage) {
  load(make_docker_archive({base_, top_}, {"one"}));
  load(make_docker_archive({base_}, {"two"}));
  EXPECT_EQ(layer_count(), 2U);
  auto removed = store_->remove("one");
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(removed->deleted.size(), 1U);
  EXPECT_EQ(removed->freed_bytes, 3U);
  EXPECT_EQ(layer_count(), 1U);
  ASSERT_TRUE(store_->remove("two"));
  EXPECT_EQ(layer_count(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "images/blobs/sha256"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "images/ingest"));
  EXPECT_EQ(store_->remove("two").error().message, "no such image: two");
}

TEST_F(StoreTest, NamesMoveAndTheLastOneTakesTheImageAlong) {
  ImagePtr first = load(make_docker_archive({base_}, {"app:v1"}));
  ImagePtr second = load(make_docker_archive({top_}, {"app:v1"}));
  EXPECT_EQ(store_->find("app:v1")->id, second->id);
  EXPECT_TRUE(store_->find(first->id)->names.empty());
  ASSERT_TRUE(store_->tag(second->id, "docker.io/library/other:v2"));
  auto removed = store_->remove("app:v1");
  EXPECT_TRUE(removed->deleted.empty());
  EXPECT_EQ(store_->find("other:v2")->id, second->id);
  auto pruned = store_->prune({}, false);
  ASSERT_TRUE(pruned);
  EXPECT_EQ(pruned->deleted, std::vector<std::string>{first->id});
  EXPECT_EQ(store_->prune({second->id}, true)->deleted.size(), 0U);
  EXPECT_EQ(store_->prune({}, true)->deleted.size(), 1U);
}

TEST_F(StoreTest, PinnedLayersStay) {
  ImagePtr image = load(make_docker_archive({base_}, {"app"}));
  LayerPin pin = store_->pin(image->layers);
  ASSERT_TRUE(store_->remove("app"));
  EXPECT_EQ(layer_count(), 1U);
  EXPECT_EQ(*store_->prune_layers(), 0U);
  pin.reset();
  EXPECT_EQ(*store_->prune_layers(), 2U);
  EXPECT_EQ(layer_count(), 0U);
}

TEST_F(StoreTest, WhatACrashLeavesIsNoImage) {
  load(make_docker_archive({base_}, {"app"}));
  store_.reset();
  namespace fs = std::filesystem;
  fs::create_directories(dir_ / "images/ingest/7/diff/usr");
  fs::create_directories(dir_ / ("images/layers/" + std::string(64, 'e') + "/diff"));
  testing::write_all(dir_ / ("images/blobs/sha256/" + std::string(64, 'f')), "stray");
  testing::write_all(dir_ / "images/images.json.tmp", "{half");
  open();
  EXPECT_TRUE(store_->find("app"));
  EXPECT_TRUE(fs::is_empty(dir_ / "images/ingest"));
  EXPECT_EQ(layer_count(), 1U);
  EXPECT_FALSE(fs::exists(dir_ / ("images/blobs/sha256/" + std::string(64, 'f'))));
}

TEST_F(StoreTest, ImagesWithMissingOrDamagedPartsAreDropped) {
  ImagePtr image = load(make_docker_archive({base_}, {"app"}));
  store_.reset();
  testing::write_all(dir_ / ("images/blobs/sha256/" + image->id.substr(7)), "{}");
  open();
  EXPECT_EQ(store_->find("app"), nullptr);
  store_.reset();
  testing::write_all(dir_ / "images/images.json", "not json");
  open();
  EXPECT_TRUE(store_->list().empty());
  EXPECT_TRUE(load(make_docker_archive({base_}, {"app"})));
}

TEST_F(StoreTest, GrantsOnlyWiden) {
  ImagePtr image = load(make_docker_archive({base_}, {"app"}));
  std::string config = *store_->read_config(image->id);
  EXPECT_TRUE(store_->find("app")->pulled_with.empty());
  // Free for all stays free for all.
  ASSERT_TRUE(store_->add_image({config, "docker.io/library/app:latest", "", "secret", false, {}}));
  EXPECT_TRUE(store_->find("app")->pulled_with.empty());
  EXPECT_FALSE(store_->find("app")->local);
  ASSERT_TRUE(store_->remove("app"));
}

TEST_F(StoreTest, ArchivesThatLieAreRefused) {
  auto refusal = [&](const std::string& bytes) {
    auto source = memory_source(bytes);
    auto loaded = load_archive(*store_, *source);
    return loaded ? "accepted" : loaded.error().message;
  };
  EXPECT_NE(refusal("garbage").find("not an image archive"), std::string::npos);
  EXPECT_NE(refusal(make_tar({{"x", 'f', "y"}})).find("neither manifest.json"), std::string::npos);
  std::string diff = "sha256:" + std::string(64, '1');
  std::string config = R"({"rootfs":{"diff_ids":[")" + diff + R"("]}})";
  std::string manifest = R"([{"Config":"c","RepoTags":["a"],"Layers":["l"]}])";
  EXPECT_NE(
      refusal(make_tar({{"c", 'f', config}, {"manifest.json", 'f', manifest}, {"l", 'f', base_}}))
          .find("but the image says " + diff),
      std::string::npos);
  EXPECT_EQ(refusal(make_tar({{"c", 'f', config}, {"manifest.json", 'f', manifest}})),
            "archive: \"l\" is missing");
  EXPECT_NE(refusal(make_tar({{"c", 'f', R"({"rootfs":{"diff_ids":[]}})"},
                              {"manifest.json", 'f', manifest}}))
                .find("lists 0 layers, the manifest 1"),
            std::string::npos);
  EXPECT_EQ(layer_count(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "images/ingest"));
  EXPECT_TRUE(store_->list().empty());
}

TEST_F(StoreTest, DockerArchivesMayLinkLayersAndBeCompressed) {
  TestImage plain = make_docker_archive({base_, base_}, {"twice"});
  ASSERT_TRUE(load(plain));
  TestImage zipped = make_docker_archive({top_}, {"zipped"});
  for (auto kind : {Compression::kGzip, Compression::kZstd}) {
    zipped.archive = *compress(make_docker_archive({top_}, {"zipped"}).archive, kind);
    EXPECT_TRUE(load(zipped));
  }
}

TEST_F(StoreTest, SavesWhatLoadsAgain) {
  ImagePtr image = load(make_docker_archive({base_, top_}, {"app:v1", "app:v2"}));
  for (ArchiveFormat format : {ArchiveFormat::kDocker, ArchiveFormat::kOci}) {
    std::string bytes;
    auto saved = save_archive(*store_, {image}, format, [&](std::string_view piece) {
      bytes += piece;
      return Result<void>();
    });
    ASSERT_TRUE(saved) << saved.error().message;
    TempDir other;
    auto target = Store::open(other / "images");
    ASSERT_TRUE(target);
    auto source = memory_source(bytes);
    auto loaded = load_archive(**target, *source);
    ASSERT_TRUE(loaded) << loaded.error().message;
    ImagePtr copy = (*target)->find("app:v2");
    ASSERT_TRUE(copy);
    EXPECT_EQ(copy->names, image->names);
    EXPECT_EQ(copy->config.cmd, image->config.cmd);
    EXPECT_EQ(testing::read_all((*target)->layer_directories(*copy)[1] + "/app"), "app");
    if (testing::shell("command -v skopeo >/dev/null") == 0) {
      testing::write_all(other / "image.tar", bytes);
      std::string kind = format == ArchiveFormat::kDocker ? "docker-archive:" : "oci-archive:";
      std::string tag = format == ArchiveFormat::kDocker ? ":app:v2" : ":docker.io/library/app:v2";
      EXPECT_EQ(testing::shell(
                    fmt::format("skopeo --insecure-policy copy -q {}{}{} dir:{} >/dev/null 2>&1",
                                kind, other / "image.tar", tag, other / "out")),
                0);
    }
  }
}

TEST_F(StoreTest, ReadsSkopeosOciLayout) {
  if (testing::shell("command -v skopeo >/dev/null") != 0) GTEST_SKIP() << "skopeo is missing";
  testing::write_all(dir_ / "in.tar", make_docker_archive({base_, top_}, {"app:v1"}).archive);
  ASSERT_EQ(
      testing::shell(fmt::format("skopeo --insecure-policy copy -q docker-archive:{} oci:{}:latest "
                                 ">/dev/null 2>&1",
                                 dir_ / "in.tar", dir_ / "layout")),
      0);
  LoadOptions options;
  auto nameless = load_layout(*store_, dir_ / "layout", options);
  ASSERT_TRUE(nameless) << nameless.error().message;
  EXPECT_TRUE(nameless->front().image->names.empty());
  options.name = "named:v3";
  auto named = load_layout(*store_, dir_ / "layout", options);
  ASSERT_TRUE(named);
  ImagePtr image = store_->find("named:v3");
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->image_id().starts_with("docker.io/library/named@sha256:"));
  EXPECT_EQ(store_->find(image->image_id()), image);
}

}  // namespace
}  // namespace moth::images
