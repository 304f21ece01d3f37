# Homebrew on Linux: a formula for a tap. packaging/recipes/fill writes the version, the address and the sums.
class Jellyvault < Formula
  desc "Fast, deduplicated snapshots for Jellyfin servers"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on :linux

  on_intel do
    url "@DOWNLOADS@/jellyvault-@VERSION@-x86_64-linux.tar.gz"
    sha256 "@SUM_x86_64@"
  end

  on_arm do
    url "@DOWNLOADS@/jellyvault-@VERSION@-aarch64-linux.tar.gz"
    sha256 "@SUM_aarch64@"
  end

  def install
    bin.install "jellyvault"
    man1.install Dir["man/*"]
    bash_completion.install "completions/jellyvault"
    zsh_completion.install "completions/_jellyvault"
    fish_completion.install "completions/jellyvault.fish"
    pkgshare.install "systemd", "jellyvault.toml"
  end

  test do
    (testpath/"server/data").mkpath
    assert_match version.to_s, shell_output("#{bin}/jellyvault --version")
    system bin/"jellyvault", "--repo", testpath/"vault", "init"
    system bin/"jellyvault", "--repo", testpath/"vault", "check"
  end
end
