# Nix: nix-build -E 'with import <nixpkgs> { }; callPackage ./package.nix { }'
# packaging/recipes/fill writes the version, the address and the sums.
{
  lib,
  stdenvNoCC,
  fetchurl,
  installShellFiles,
}:

let
  sums = {
    x86_64 = "@SUM_x86_64@";
    aarch64 = "@SUM_aarch64@";
  };
  arch = stdenvNoCC.hostPlatform.parsed.cpu.name;
in
stdenvNoCC.mkDerivation (finalAttrs: {
  pname = "jellyvault";
  version = "@VERSION@";

  src = fetchurl {
    url = "@DOWNLOADS@/jellyvault-${finalAttrs.version}-${arch}-linux.tar.gz";
    sha256 = sums.${arch};
  };

  nativeBuildInputs = [ installShellFiles ];
  # A static binary: there is nothing to strip or to patch.
  dontStrip = true;
  dontPatchELF = true;

  installPhase = ''
    runHook preInstall
    install -D jellyvault -t $out/bin
    installManPage man/*
    installShellCompletion --bash completions/jellyvault
    installShellCompletion --zsh completions/_jellyvault
    installShellCompletion --fish completions/jellyvault.fish
    install -D -m 644 systemd/jellyvault* -t $out/lib/systemd/system
    substituteInPlace $out/lib/systemd/system/*.service --replace-fail /usr/bin/jellyvault $out/bin/jellyvault
    runHook postInstall
  '';

  meta = {
    description = "Fast, deduplicated snapshots for Jellyfin servers";
    homepage = "@HOMEPAGE@";
    license = with lib.licenses; [
      mit
      asl20
    ];
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    mainProgram = "jellyvault";
  };
})
