#include <polyphony/base/npy.h>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

fs::path place(const std::string& name) { return polyphony::scratch_directory() / name; }

std::string npy(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

void expect_error(const std::string& bytes, const std::string& fact) {
  write_file(place("bad.npy"), bytes);
  try {
    load_npy(place("bad.npy"));
    FAIL() << "no error, expected: " << fact;
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("bad.npy"));
    EXPECT_THAT(error.what(), HasSubstr(fact));
    EXPECT_THAT(error.remedy(), HasSubstr("numpy.save"));
  }
}

TEST(Npy, GivesBackShapeAndValues) {
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{2, 3}, {6}, {1, 6, 1}}) {
    save_npy(place("round.npy"), {shape, {1, 2, 3, 4, 5, 6.5F}});
    const NpyArray loaded = load_npy(place("round.npy"));
    EXPECT_EQ(loaded.shape, shape);
    EXPECT_THAT(loaded.values, ElementsAre(1, 2, 3, 4, 5, 6.5F));
  }
}

TEST(Npy, NarrowsDoubles) {
  const double value = 0.5;
  write_file(place("double.npy"), npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
                                      std::string(reinterpret_cast<const char*>(&value), 8)));
  EXPECT_THAT(load_npy(place("double.npy")).values, ElementsAre(0.5F));
}

TEST(Npy, RejectsWhatItCannotReadByName) {
  expect_error("hello, this is text", "no .npy file");
  expect_error(
      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", std::string(8, '\0')),
      "<i8");
  expect_error(
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", std::string(4, '\0')),
      "Fortran");
  expect_error(
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", std::string(8, '\0')),
      "truncated");
  expect_error(
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", ""),
      "truncated");
}

TEST(Npy, RejectsADamagedShape) {
  for (const std::string shape : {"-3,", "3.5,", "x"}) {
    expect_error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }",
                     std::string(64, '\0')),
                 "the shape is damaged");
  }
}

TEST(Npy, RejectsAHeaderBeyondReason) {
  std::string bytes("\x93NUMPY\x02\x00\x01\x00\x01\x00", 12);  // 65537 bytes of header
  bytes += "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  expect_error(bytes + std::string(1 << 17, ' '), "64 KiB");
}

TEST(Npy, LongFieldsOfAHeaderAreReadWithoutExhaustingTheStack) {
  const std::string rest = ", 'fortran_order': False, 'shape': (";
  expect_error(npy("{'descr': '" + std::string(65000, 'f') + "'" + rest + "1,), }", ""), "float32");
  expect_error(npy("{'descr': '<f4'" + rest + std::string(65000, '1') + ",), }", ""), "believable");
  expect_error(npy("{'descr': '" + std::string(65000, 'f'), ""), "damaged");
}

}  // namespace
}  // namespace polyphony
