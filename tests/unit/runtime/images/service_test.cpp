// The facade with a real store and real overlay mounts, and builds with a real buildah.
#include "runtime/images/service.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include "tests/unit/runtime/images/support.h"

namespace moth::images {
namespace {

using testing::await_on_loop;
using testing::Loop;
using testing::make_docker_archive;
using testing::make_tar;
using testing::TempDir;
using testing::TestImage;

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::is_root()) GTEST_SKIP() << "mounts need root";
    open();
  }
  void TearDown() override {
    if (!service_) return;
    auto left = run<Result<std::vector<Snapshot>>>([this] { return service_->list_rootfs(); });
    if (left) {
      for (const Snapshot& snapshot : *left) {
        static_cast<void>(run<Result<void>>([&] { return service_->remove_rootfs(snapshot.id); }));
      }
    }
    close();
    static_cast<void>(testing::shell(
        fmt::format("umount -l {} 2>/dev/null", dir_ / "data/build/storage/overlay")));
  }
  template <class T>
  T run(std::function<Task<T>()> body) {
    return await_on_loop<T>(*loop_, std::move(body));
  }
  void open() {
    loop_ = std::make_unique<Loop>();
    ImageServiceOptions options;
    options.data_dir = dir_ / "data";
    auto opened = ImageService::open(options, loop_->executors(), clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    service_ = std::move(*opened);
  }
  void close() {
    loop_->run([this] { return service_->stop(); });
    service_.reset();
    loop_.reset();
  }
  ImagePtr load(const TestImage& image) {
    auto loaded = run<Result<std::vector<Loaded>>>(
        [&] { return service_->load(memory_source(image.archive), {}); });
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? loaded->front().image : nullptr;
  }
  Result<Snapshot> prepare(const std::string& id, ImagePtr image,
                           std::vector<std::string> extra = {}, bool read_only = false) {
    return run<Result<Snapshot>>(
        [&] { return service_->prepare_rootfs(id, image, extra, read_only); });
  }
  Result<void> drop(const std::string& id) {
    return run<Result<void>>([&] { return service_->remove_rootfs(id); });
  }
  Result<Removed> remove(const std::string& name, bool force = false) {
    return run<Result<Removed>>([&] { return service_->remove(name, force); });
  }
  Result<ImagePtr> build(BuildRequest request) {
    lines_.clear();
    return run<Result<ImagePtr>>([&] {
      return service_->build(request, [this](std::string_view line) { lines_.emplace_back(line); });
    });
  }
  std::size_t layer_count() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(dir_ / "data/images/layers"), {}));
  }

  std::string base_ = make_tar({{"bin/", 'd', "", 0755},
                                {"bin/sh", 'f', "sh"},
                                {"etc/", 'd', "", 0755},
                                {"etc/a", 'f', "a"},
                                {"etc/b", 'f', "b"},
                                {"opt/", 'd', "", 0755},
                                {"opt/old", 'f', "o"}});
  std::string top_ = make_tar({{"etc/.wh.a"},
                               {"etc/b", 'f', "b2"},
                               {"opt/", 'd', "", 0755},
                               {"opt/.wh..wh..opq"},
                               {"opt/new", 'f', "n"}});
  TempDir dir_;
  std::shared_ptr<FakeClock> clock_ = std::make_shared<FakeClock>();
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<ImageService> service_;
  std::vector<std::string> lines_;
};

TEST_F(ServiceTest, RootFileSystemsShowTheLayersAsOne) {
  namespace fs = std::filesystem;
  ImagePtr image = load(make_docker_archive({base_, top_}, {"app"}));
  auto rootfs = prepare("c1", image);
  ASSERT_TRUE(rootfs) << rootfs.error().message;
  EXPECT_FALSE(fs::exists(rootfs->path + "/etc/a"));
  EXPECT_EQ(testing::read_all(rootfs->path + "/etc/b"), "b2");
  EXPECT_FALSE(fs::exists(rootfs->path + "/opt/old"));
  EXPECT_EQ(testing::read_all(rootfs->path + "/opt/new"), "n");
  EXPECT_EQ(testing::read_all(rootfs->path + "/bin/sh"), "sh");
  // What one container writes is its own.
  testing::write_all(rootfs->path + "/etc/b", "mine");
  auto other = prepare("c2", image);
  ASSERT_TRUE(other);
  EXPECT_EQ(testing::read_all(other->path + "/etc/b"), "b2");
  auto usage = service_->snapshots().usage("c1");
  ASSERT_TRUE(usage);
  EXPECT_GT(usage->inodes, 1U);
  // Again is the same.
  EXPECT_EQ(prepare("c1", image)->path, rootfs->path);
  EXPECT_EQ(testing::read_all(rootfs->path + "/etc/b"), "mine");
  ASSERT_TRUE(drop("c1"));
  ASSERT_TRUE(drop("c1"));
  EXPECT_FALSE(fs::exists(dir_ / "data/snapshots/c1"));
  ASSERT_TRUE(drop("c2"));
  EXPECT_FALSE(prepare("../x", image));
}

TEST_F(ServiceTest, ExtraLayersLieAboveTheImage) {
  ImagePtr image = load(make_docker_archive({base_}, {"app"}));
  std::filesystem::create_directories(dir_ / "extra/etc");
  testing::write_all(dir_ / "extra/etc/b", "extra");
  auto rootfs = prepare("c1", image, {dir_ / "extra"}, true);
  ASSERT_TRUE(rootfs) << rootfs.error().message;
  EXPECT_EQ(testing::read_all(rootfs->path + "/etc/b"), "extra");
  EXPECT_EQ(testing::read_all(rootfs->path + "/etc/a"), "a");
  testing::write_all(rootfs->path + "/etc/c", "no");
  EXPECT_FALSE(std::filesystem::exists(rootfs->path + "/etc/c"));
  auto plain = prepare("c2", image, {}, true);
  EXPECT_TRUE(plain) << plain.error().message;
}

TEST_F(ServiceTest, UsedImagesStay) {
  ImagePtr image = load(make_docker_archive({base_}, {"app"}));
  ASSERT_TRUE(prepare("c1", image));
  EXPECT_EQ(remove("app").error().reason, Reason::kConflict);
  EXPECT_TRUE(run<Result<Removed>>([&] { return service_->prune(true); })->deleted.empty());
  // After a restart too: the snapshot tells.
  close();
  open();
  EXPECT_EQ(remove("app").error().reason, Reason::kConflict);
  // By force the image goes, its layers with the last container.
  ASSERT_TRUE(remove("app", true));
  EXPECT_EQ(layer_count(), 1U);
  EXPECT_EQ(testing::read_all(dir_ / "data/snapshots/c1/merged/etc/a"), "a");
  ASSERT_TRUE(drop("c1"));
  EXPECT_EQ(layer_count(), 0U);
  EXPECT_EQ(prepare("c2", image).error().reason, Reason::kNotFound);
}

TEST_F(ServiceTest, LocalImagesNeedNoRegistryWhateverThePolicy) {
  ImagePtr image = load(make_docker_archive({base_}, {"app", "localhost/other:v1"}));
  for (PullPolicy policy : {PullPolicy::kAlways, PullPolicy::kIfNotPresent, PullPolicy::kNever}) {
    for (const char* name : {"app", "app:latest", "other:v1", "localhost/other:v1"}) {
      auto ensured = run<Result<Ensured>>([&] { return service_->ensure(name, policy); });
      ASSERT_TRUE(ensured) << ensured.error().message;
      EXPECT_EQ(ensured->image->id, image->id);
      EXPECT_FALSE(ensured->pulled);
    }
  }
  auto tagged = run<Result<ImagePtr>>([&] { return service_->tag("app", "r.io/x:v2"); });
  ASSERT_TRUE(tagged);
  EXPECT_EQ(service_->find("r.io/x:v2")->id, image->id);
  EXPECT_FALSE(run<Result<ImagePtr>>([&] { return service_->tag("nope", "x"); }));
}

TEST_F(ServiceTest, GarbageCollection) {
  ImagePtr used = load(make_docker_archive({base_}, {"used"}));
  ImagePtr idle = load(make_docker_archive({top_}, {"idle"}));
  loop_->run([&]() -> Task<void> {
    service_->set_in_use({used->id});
    co_return;
  });
  auto plan = run<Result<GcPlan>>([&] { return service_->collect_garbage(); });
  ASSERT_TRUE(plan) << plan.error().message;
  plan = run<Result<GcPlan>>([&] { return service_->collect_garbage(true); });
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->delete_ids, std::vector<std::string>{idle->id});
  EXPECT_TRUE(service_->find("used"));
  EXPECT_FALSE(service_->find("idle"));
}

TEST_F(ServiceTest, SavesToAFile) {
  load(make_docker_archive({base_}, {"app"}));
  std::string path = dir_ / "out.tar";
  auto saved =
      run<Result<void>>([&] { return service_->save({"app"}, ArchiveFormat::kDocker, path); });
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_GT(std::filesystem::file_size(path), 1000U);
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
  EXPECT_FALSE(
      run<Result<void>>([&] { return service_->save({"no"}, ArchiveFormat::kOci, path); }));
}

class BuildTest : public ServiceTest {
 protected:
  void SetUp() override {
    if (testing::shell("command -v buildah >/dev/null") != 0) GTEST_SKIP() << "buildah is missing";
    ServiceTest::SetUp();
    std::filesystem::create_directories(dir_ / "context");
  }
  BuildRequest request(const std::string& dockerfile) {
    testing::write_all(dir_ / "context/Dockerfile", dockerfile);
    BuildRequest result;
    result.context = dir_ / "context";
    result.tags = {"built:v1"};
    return result;
  }
};

TEST_F(BuildTest, BuildsUponAnImageOfTheStoreAndSharesItsLayers) {
  ImagePtr base = load(make_docker_archive({base_, top_}, {"mybase:1"}));
  testing::write_all(dir_ / "context/file", "content");
  BuildRequest wanted = request("ARG BASE\nFROM ${BASE}\nCOPY file /file\nENV A=b\nUSER 7\n");
  wanted.build_args = {{"BASE", "mybase:1"}};
  wanted.tags.push_back("r.io/built:v2");
  auto built = build(wanted);
  ASSERT_TRUE(built) << built.error().message;
  const Image& image = **built;
  ASSERT_EQ(image.layers.size(), 3U);
  EXPECT_EQ(image.layers[0], base->layers[0]);
  EXPECT_EQ(image.layers[1], base->layers[1]);
  EXPECT_EQ(layer_count(), 3U);
  EXPECT_EQ(image.config.user, "7");
  EXPECT_EQ(image.names, (std::vector<std::string>{"docker.io/library/built:v1", "r.io/built:v2"}));
  EXPECT_TRUE(image.local);
  EXPECT_FALSE(lines_.empty());
  auto rootfs = prepare("b1", *built);
  ASSERT_TRUE(rootfs) << rootfs.error().message;
  EXPECT_EQ(testing::read_all(rootfs->path + "/file"), "content");
  EXPECT_EQ(testing::read_all(rootfs->path + "/opt/new"), "n");
  EXPECT_FALSE(std::filesystem::exists(rootfs->path + "/etc/a"));
  // The same again is the same image; after a change only its own layer is new.
  EXPECT_EQ((*build(wanted))->id, image.id);
  testing::write_all(dir_ / "context/file", "changed");
  auto changed = build(wanted);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_NE((*changed)->id, image.id);
  EXPECT_EQ(layer_count(), 4U);
  // A base of the same name with other content is noticed.
  load(make_docker_archive({base_}, {"mybase:1"}));
  auto rebased = build(wanted);
  ASSERT_TRUE(rebased) << rebased.error().message;
  EXPECT_EQ((*rebased)->layers.size(), 2U);
}

TEST_F(BuildTest, SaysWhatWentWrong) {
  BuildRequest none = request("FROM scratch\nCOPY nothing /x\n");
  auto failed = build(none);
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().message.starts_with("the build failed (exit status "))
      << failed.error().message;
  EXPECT_NE(failed.error().message.find("nothing"), std::string::npos) << failed.error().message;
  none.dockerfile = "Other";
  EXPECT_NE(build(none).error().message.find("there is no Dockerfile at"), std::string::npos);
  none.dockerfile = "";
  none.context = dir_ / "missing";
  EXPECT_NE(build(none).error().message.find("is not a directory"), std::string::npos);
  none.context = dir_ / "context";
  none.tags = {"Bad Name"};
  EXPECT_FALSE(build(none));
  none.tags = {};
  EXPECT_FALSE(build(none));
  // After all that a good one works, and nothing is left mounted.
  auto good = build(request("FROM scratch\nCOPY Dockerfile /d\n"));
  EXPECT_TRUE(good) << good.error().message;
  EXPECT_EQ(
      testing::shell(fmt::format("grep -q {} /proc/mounts", dir_ / "data/build/storage/overlay/")),
      256);
}

}  // namespace
}  // namespace moth::images
