package Idpay::Filler;

# Deterministic filler bytes, the same in a simulator and in a test, so that
# a download of any size can be checked without being kept.
#
#   filler($offset, $length)   the bytes [offset, offset + length) of the stream

use strict;
use warnings;

use Digest::SHA qw(sha256);
use Exporter    qw(import);

our @EXPORT_OK = qw(filler);

# A prime, so that no power-of-two buffer size lines up with the period: a
# buffer sent twice or left out always shows.
use constant PERIOD => 65_521;

my $block = '';
for (my $i = 0; length $block < PERIOD; $i++) {
    $block .= sha256("idpay filler $i");
}
$block = substr $block, 0, PERIOD;


sub filler {
    my ($offset, $length) = @_;

    my $start  = $offset % PERIOD;
    my $copies = int(($start + $length) / PERIOD) + 1;

    return substr $block x $copies, $start, $length;
}


1;
