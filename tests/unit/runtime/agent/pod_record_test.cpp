#include "runtime/agent/pod_record.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth::agent {
namespace {

using namespace std::chrono_literals;

TEST(PodRecord, SurvivesTheCheckpoint) {
  PodRecord record;
  record.stage = PodStage::kTerminating;
  record.accepted_at = WallTime(1'750'000'000s);
  record.resources_ready = true;
  record.pod_ip = "10.244.0.7";
  record.failed_reason = "Evicted";
  record.failed_message = "memory";
  record.deletion_requested = WallTime(1'750'000'123s);
  ContainerRecord& web = record.container("web");
  web.state = ContainerRecord::State::kRunning;
  web.attempt = 3;
  web.image = "docker.io/library/nginx:1";
  web.image_id = "repo@sha256:1";
  web.local_image_id = "sha256:2";
  web.definition = "nginx:1";
  web.started_at = WallTime(1'750'000'050s);
  web.post_start_done = web.startup_passed = web.ready = true;
  web.last = Termination{7, 9, "Error", "why", WallTime(1s), WallTime(2s), "id_2"};
  web.previous = Termination{0, 0, "Completed", "", WallTime(3s), WallTime(4s), "id_1"};

  Json text = Json::parse(to_checkpoint(record, "shop", "web-0", "uid-1").dump());
  EXPECT_EQ(text["namespace"], "shop");
  EXPECT_EQ(text["name"], "web-0");
  EXPECT_EQ(text["uid"], "uid-1");
  auto back = from_checkpoint(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(to_checkpoint(*back, "shop", "web-0", "uid-1"), text);
  const ContainerRecord* read = back->find("web");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->attempt, 3);
  EXPECT_TRUE(read->running());
  EXPECT_EQ(read->last->signal, 9);
  EXPECT_EQ(read->last->finished_at, WallTime(2s));
  EXPECT_EQ(read->previous->container_id, "id_1");
  EXPECT_EQ(back->stage, PodStage::kTerminating);
  EXPECT_EQ(back->deletion_requested, WallTime(1'750'000'123s));
}

TEST(PodRecord, RefusesWhatItDoesNotKnow) {
  EXPECT_FALSE(from_checkpoint(Json{{"version", 2}}));
  EXPECT_FALSE(from_checkpoint(Json::object()));
  // What is missing or of another type counts as not there.
  auto sparse = from_checkpoint(Json{{"version", 1}, {"containers", {{"web", Json::object()}}}});
  ASSERT_TRUE(sparse);
  EXPECT_EQ(sparse->find("web")->attempt, -1);
  EXPECT_FALSE(sparse->find("web")->ever_started());
  // A state or stage that does not exist must not become one.
  EXPECT_FALSE(from_checkpoint(Json{{"version", 1}, {"stage", 99}}));
  EXPECT_FALSE(from_checkpoint(Json{{"version", 1}, {"containers", {{"web", {{"state", -3}}}}}}));
}

}  // namespace
}  // namespace moth::agent
