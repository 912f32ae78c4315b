package Test::Idpay::Logs;

# What must never stand in a log.
#
#   alarms($text)              lines of alert, crit, emerg
#   sanitizer_reports($text)   lines of a sanitizer's or valgrind's report
#   forms_of($value)           every spelling of a secret to look for
#   leaks($text, @forms)       numbers of the lines where one stands

use strict;
use warnings;

use Exporter     qw(import);
use MIME::Base64 qw(encode_base64);

our @EXPORT_OK = qw(alarms sanitizer_reports forms_of leaks);

# A shorter value would be found everywhere.
use constant SHORTEST => 6;


sub alarms {
    my $text = shift;
    return grep {/\[(?:alert|crit|emerg)\]/} split /\n/, $text;
}


sub sanitizer_reports {
    my $text = shift;
    return grep {
        /AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer
        |runtime\ error:|==\d+==\s*ERROR:|==\d+==\ (?:Invalid|Conditional)
        |ERROR\ SUMMARY:\ [1-9]/x
    } split /\n/, $text;
}


sub forms_of {
    my $value = shift;

    return if length $value < SHORTEST;

    my %forms = ($value => 1);

    my $percent = $value =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger;
    $forms{$percent} = $forms{ $percent =~ s/(%..)/\L$1/gr } = 1;

    # In base64 the spelling depends on where the value begins: once for each
    # of the three places, less the ends that depend on the neighbours too.
    for my $before (0 .. 2) {
        my $base64 = encode_base64('x' x $before . $value, '');
        $base64 =~ s/=+$//;
        $base64 = substr $base64, (0, 2, 3)[$before];
        $base64 = substr $base64, 0, -1 if (length($value) + $before) % 3;
        $forms{$base64} = $forms{ $base64 =~ tr{+/}{-_}r } = 1;
    }
    return sort keys %forms;
}


sub leaks {
    my ($text, @forms) = @_;

    return if !@forms;

    my $any    = join '|', map {quotemeta} @forms;
    my $number = 0;
    return grep {defined}
        map { $number++; /$any/ ? $number : undef } split /\n/, $text;
}


1;
