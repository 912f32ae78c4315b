package Test::Idpay::Problem;

# Every problem document that a test is answered with is checked at its end
# against t/problem.schema.json, and against the answer that it came in. The
# check takes its time, which no test must notice while it runs.
#
#   is_problem($type)        whether an answer of that Content-Type is one
#   keep_problem(\%answer)   remembers it: status, retry_after (the header's),
#                            encoding, body; callable in any process of the test
#   unfit_problems()         checks what was kept since, by all processes: a
#                            report of each that does not fit
#   misfits(\%answer)        what is wrong with such an answer, a line each
#   schema_misfits($document)   what the schema has against a decoded one

use strict;
use warnings;

use Cwd            qw(abs_path);
use Exporter       qw(import);
use File::Basename qw(dirname);
use Mojo::JSON     qw(decode_json encode_json);

our @EXPORT_OK
    = qw(is_problem keep_problem unfit_problems misfits schema_misfits);

my $schema = abs_path(dirname(__FILE__) . '/../../..') . '/problem.schema.json';

# Processes that are forked later share it: each appends.
open my $kept, '+>>:raw', undef or die "a temporary file: $!";

my (%seen, $validator);


sub is_problem {
    my $type = shift;
    return ($type // '') =~ m{^application/problem\+json\s*(?:;|$)}i;
}


# Documents that differ in nothing but their ID are checked once.
sub keep_problem {
    my $answer = shift;

    my $alike = $answer->{body} =~ s/"request_id":"\K[0-9a-f]{32}(?=")//r;
    return if $seen{ join "\0", $alike,
        map { $_ // '' } @$answer{qw(status retry_after encoding)} }++;

    syswrite $kept, encode_json($answer) . "\n" or die "keep_problem: $!";
    return;
}


sub unfit_problems {
    seek $kept, 0, 0;
    my @answers = map { decode_json($_) } <$kept>;
    truncate $kept, 0;
    %seen = ();

    return map {
        my @misfits = misfits($_);
        @misfits ? join "\n", @misfits, _text($_) : ();
    } @answers;
}


sub _text {
    my $answer = shift;

    return $answer->{body} if ($answer->{encoding} // '') ne 'gzip';

    require Compress::Zlib;
    return Compress::Zlib::memGunzip($answer->{body}) // '';
}


sub misfits {
    my $answer = shift;

    my $document = eval { decode_json(_text($answer)) };
    return 'no JSON: ' . $@ =~ s/\s+\z//r if $@;

    my @misfits = schema_misfits($document);
    return @misfits if ref $document ne 'HASH';

    for ([ 'the status', 'status' ], [ 'Retry-After', 'retry_after' ]) {
        my ($name, $member) = @$_;
        my ($is, $told)
            = map { $_->{$member} // 'none' } $answer, $document;
        push @misfits, "$name is $is, $member is $told" if $is ne $told;
    }
    return @misfits;
}


sub schema_misfits {
    my $document = shift;

    # It takes a while to load, and many tests never need it. Its protection
    # against endless data may take one object for another.
    $validator //= do {
        require JSON::Validator;
        JSON::Validator->new(recursive_data_protection => 0)
            ->schema("file://$schema")->schema;
    };

    # Which of the parts of allOf it was says nothing.
    return map {s{/allOf/\d+ }{}r} $validator->validate($document);
}


1;
